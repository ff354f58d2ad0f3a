import Yams

extension TopologyReader {
    func secret(_ value: YAMLValue?) -> Topology.SecretSource {
        guard let value else { return .none }
        if case .scalar(let scalar) = value.node {
            if scalar.string != "none" {
                value.reject("found \(value.found)", expected: "{ file: PATH }, or none")
            }
            return .none
        }
        let file = value.fields(["file"])?.required("file", "the path of the secret's file")
        return path(file).map { .file(path: $0) } ?? .none
    }

    func directory(_ value: YAMLValue?) -> Topology.DirectorySource {
        let fields = value?.fields(["kind", "path"])
        let isDatabase = fields?.required("kind", "file or sqlite")?.choice([("file", false), ("sqlite", true)])
        let path = isDatabase == nil ? nil : path(fields?.required("path", "the path of the file"))
        return isDatabase == true ? .sqlite(path: path ?? "") : .file(path: path ?? "")
    }

    func journal(_ value: YAMLValue?) -> String {
        path(value?.fields(["path"])?.required("path", "a directory")) ?? resolve("var/journal")
    }

    func adminIsOpen(_ value: YAMLValue?) -> Bool {
        value?.fields(["open"])?["open"]?.flag() ?? false
    }

    func periods(_ value: YAMLValue?) -> Periods {
        var periods = Periods()
        guard let value, let fields = value.fields(Periods.fields.map(\.key)) else { return periods }
        let before = problems.count
        for field in Periods.fields {
            guard let given = fields[field.key]?.duration(in: field.range) else { continue }
            periods[keyPath: field.path] = given
        }
        if problems.count == before { report(periods.violations, of: fields) }
        return periods
    }

    func limits(_ value: YAMLValue?) -> Limits {
        var limits = Limits()
        guard let value, let fields = value.fields(Limits.fields.map(\.key)) else { return limits }
        let before = problems.count
        for field in Limits.fields {
            guard let value = fields[field.key] else { continue }
            let given =
                switch field.unit {
                case .count: value.integer(in: field.range)
                case .bytes: value.bytes(in: field.range)
                }
            if let given { limits[keyPath: field.path] = given }
        }
        if problems.count == before { report(limits.violations, of: fields) }
        return limits
    }

    private func report(_ violations: [SettingViolation], of fields: YAMLFields) {
        for violation in violations {
            // A default can be what does not fit; then the section's own line has to do.
            problems.report(
                line: fields[violation.setting]?.line ?? fields.line, violation.wrong,
                expected: violation.expected)
        }
    }
}
