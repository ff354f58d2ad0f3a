import ClusterRuntime
import Foundation
import RegistrarEvents
import Yams

extension DrillFile {
    /// Largest drill file, in bytes.
    package static let maximumFileSize = 256 << 10

    /// Reads and checks a drill file. The topology's path in it is taken relative to the file.
    /// - Throws: everything that is wrong with it, each with its line.
    package static func load(path: String) throws(DrillFileError) -> DrillFile {
        guard let data = FileManager.default.contents(atPath: path), data.count <= maximumFileSize else {
            throw DrillFileError(problems: [
                FileProblem(
                    file: path, line: 1, wrong: "cannot be read",
                    expected: "a readable file of at most \(maximumFileSize >> 10) KiB")
            ])
        }
        return try parse(String(decoding: data, as: UTF8.self), path: path)
    }

    /// Reads and checks a drill that is at hand as text.
    /// - Parameter path: where it stands or would stand: for the topology's path and for messages.
    package static func parse(_ text: String, path: String) throws(DrillFileError) -> DrillFile {
        let problems = DrillProblems(file: path)
        let drill = DrillValue.root(of: text, problems: problems).flatMap { read($0, path: path) }
        guard let drill, problems.found.isEmpty else { throw DrillFileError(problems: problems.sorted) }
        return drill
    }

    private static func read(_ root: DrillValue, path: String) -> DrillFile? {
        guard let top = root.fields(["name", "topology", "load", "steps", "for", "expect"]) else { return nil }
        let name = top.required("name", "the drill's name")?.text("a name")
        let topology = top.required("topology", "the path of a topology file")?.text("a path")
        let load = top.required("load", "what the clients do").flatMap(readLoad)
        let steps = top["steps"]?.items(atMost: maximumSteps).compactMap(readStep) ?? []
        let duration = top.required("for", "how long the load runs")?.duration(upTo: maximumDuration)
        let expect = readExpectations(top["expect"])
        guard let name, let topology, let load, let duration else { return nil }
        var lines = load.lines
        lines.owners = top["expect"]?.line ?? 1
        for step in steps where step.at > duration {
            root.problems.report(
                line: step.line, "at \(step.at.milliseconds) ms is after the drill's end",
                expected: "at most the \(duration.milliseconds) ms of `for`")
        }
        return DrillFile(
            name: name, file: path, topology: resolve(topology, beside: path), load: load.value,
            steps: steps.sorted { ($0.at, $0.line) < ($1.at, $1.line) }, duration: duration, expect: expect,
            lines: lines)
    }

    private static func readLoad(_ value: DrillValue) -> (value: Load, lines: Lines)? {
        let keys = ["domain", "registrations", "renewals_per_s", "churn_per_s", "subscribers", "sip"]
        guard let fields = value.fields(keys) else { return nil }
        let domain = fields.required("domain", "the domain under load").flatMap { value -> DomainName? in
            guard let text = value.text("a domain name") else { return nil }
            if let name = DomainName(text) { return name }
            value.reject("found `\(text)`", expected: "a domain name such as demo.example")
            return nil
        }
        if let sip = fields["sip"] { return readSIPLoad(sip, fields, domain) }
        let registrations = fields.required("registrations", "how many contacts to register")?
            .integer(in: 1...Load.maximumRegistrations)
        let renewals = fields["renewals_per_s"].map { $0.integer(in: 0...Load.maximumRate) } ?? 0
        let churn = fields["churn_per_s"].map { $0.integer(in: 0...Load.maximumRate) } ?? 0
        let subscribers = fields["subscribers"].map { $0.integer(in: 0...Load.maximumSubscribers) } ?? 0
        guard let domain, let registrations, let renewals, let churn, let subscribers else { return nil }
        if let line = fields["churn_per_s"], churn * 2 > registrations {
            line.reject("\(churn)", expected: "at most half of the registrations: a contact is away for a second")
        }
        return (
            Load(
                domain: domain, registrations: registrations, renewalsPerSecond: renewals, churnPerSecond: churn,
                subscribers: subscribers),
            Lines(
                domain: fields["domain"]?.line ?? value.line, subscribers: fields["subscribers"]?.line ?? value.line,
                sip: value.line)
        )
    }

    private static func readStep(_ value: DrillValue) -> Step? {
        let actions: [(String, allowed: [String], make: (Target) -> Action)] = [
            ("kill", ["owner", "standby", "router", "copies", "etcd-leader", "etcd", "everything"], Action.kill),
            ("pause", ["owner", "standby", "router", "etcd-leader", "etcd"], Action.pause),
            ("resume", ["paused"], Action.resume),
            ("start", ["killed"], Action.start),
            ("drain", ["owner", "standby"], Action.drain),
            ("undrain", ["drained"], Action.undrain),
            ("move", ["standby"], Action.move),
            ("restart", ["rolling"], Action.restart),
            ("fill", ["owner", "standby"], Action.fill),
            ("free", ["filled"], Action.free),
        ]
        let network = ["cut", "slow", "heal"]
        let keys = actions.map(\.0) + network + ["kafka"]
        guard let fields = value.fields(["at"] + keys + ["way", "delay", "loss"]) else { return nil }
        let at = fields.required("at", "when, counted from the start of the load")?.duration(upTo: maximumDuration)
        let given = keys.filter { fields[$0] != nil }
        guard given.count == 1, let key = given.first, let item = fields[key] else {
            value.reject("\(given.count) actions", expected: "one of \(keys.joined(separator: ", "))")
            return nil
        }
        for (extra, owner) in [("way", "cut"), ("delay", "slow"), ("loss", "slow")] where key != owner {
            fields[extra]?.reject("given with \(key)", expected: "it with \(owner) alone")
        }
        if key == "kafka" {
            guard let at, let text = item.text("stop or start") else { return nil }
            if let power = Power(rawValue: text) { return Step(at: at, action: .kafka(power), line: value.line) }
            item.reject("found `\(text)`", expected: "stop or start")
            return nil
        }
        guard let (_, allowed, make) = actions.first(where: { $0.0 == key }) else {
            guard let at, let action = readNetworkAction(fields, key, item) else { return nil }
            return Step(at: at, action: action, line: value.line)
        }
        guard let at, let text = item.text("\(allowed.joined(separator: ", ")) or a node's name") else { return nil }
        let target = Target(text)
        // A word that means something elsewhere must not be taken for a node's name.
        if case .node = target {
        } else if !allowed.contains(text) {
            item.reject("found `\(text)`", expected: "\(allowed.joined(separator: ", ")) or a node's name")
            return nil
        }
        return Step(at: at, action: make(target), line: value.line)
    }

    private static func readExpectations(_ value: DrillValue?) -> Expectations {
        var result = Expectations()
        let keys = [
            "lost", "stale", "duplicated", "sip_errors", "failed", "detect_within", "accept_within", "gap_within",
            "converge_within", "strays", "resyncs", "owner", "verify",
        ]
        guard let fields = value?.fields(keys) else { return result }
        let counts = 0...Load.maximumRegistrations
        if fields["lost"]?.isWord("told") == true {
            result.mayBeVoided = true
        } else {
            result.lost = fields["lost"]?.integer(in: counts) ?? 0
        }
        result.stale = fields["stale"]?.integer(in: counts) ?? 0
        result.duplicated = fields["duplicated"]?.integer(in: counts) ?? 0
        result.sipErrors = fields["sip_errors"]?.integer(in: counts) ?? 0
        result.failed = fields["failed"]?.integer(in: counts)
        result.strays = fields["strays"]?.integer(in: counts)
        result.resyncs = fields["resyncs"]?.integer(in: counts)
        result.detectWithin = fields["detect_within"]?.duration(upTo: maximumDuration)
        result.acceptWithin = fields["accept_within"]?.duration(upTo: maximumDuration)
        result.gapWithin = fields["gap_within"]?.duration(upTo: maximumDuration)
        result.convergeWithin = fields["converge_within"]?.duration(upTo: maximumDuration)
        result.owners = fields["owner"].map(readOwners) ?? []
        result.verify = fields["verify"]?.flag() ?? false
        return result
    }

    /// A node's name, or a list of them.
    private static func readOwners(_ value: DrillValue) -> [NodeName] {
        let items = value.node.sequence == nil ? [value] : value.items(atMost: maximumSteps)
        return items.compactMap { $0.text("a node's name") }.map { NodeName($0) }
    }

    private static func resolve(_ path: String, beside file: String) -> String {
        guard !path.hasPrefix("/") else { return path }
        let base = (file as NSString).deletingLastPathComponent
        return base.isEmpty ? path : (base as NSString).appendingPathComponent(path)
    }
}
