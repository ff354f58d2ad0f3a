extension Topology {
    /// Reads and checks a topology file. Relative paths in it are taken relative to the file.
    /// - Throws: everything that is wrong with it, each with its line.
    public static func load(path: String) throws(TopologyError) -> Topology {
        let problems = ProblemList(file: path)
        let text = YAMLDocument.text(path, limit: maximumFileSize, problems: problems)
        return try finish(text.flatMap { YAMLDocument.parse($0, problems: problems) }, problems, source: text)
    }

    /// Reads and checks a topology that is at hand as text.
    /// - Parameter path: where it stands or would stand: for relative paths and for messages.
    /// - Throws: everything that is wrong with it, each with its line.
    public static func parse(_ text: String, path: String) throws(TopologyError) -> Topology {
        let problems = ProblemList(file: path)
        guard text.utf8.count <= maximumFileSize else {
            problems.report(
                line: 1, "the topology is too large",
                expected: "at most \(Quantity.text(bytes: maximumFileSize))")
            return try finish(nil, problems, source: nil)
        }
        return try finish(YAMLDocument.parse(text, problems: problems), problems, source: text)
    }

    private static func finish(
        _ root: YAMLValue?, _ problems: ProblemList, source: String?
    ) throws(TopologyError) -> Topology {
        let topology = root.flatMap { TopologyReader(problems: problems).read($0) }
        guard var topology, problems.count == 0 else { throw TopologyError(problems.sorted) }
        topology.source = source ?? ""
        return topology
    }
}
