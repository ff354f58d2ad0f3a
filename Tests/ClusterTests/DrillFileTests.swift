import ClusterRuntime
import Foundation
import RegistrarEvents
import Testing

@testable import Drills

@Suite struct DrillFileTests {
    private static let sample = """
        name: kill the owner under load
        topology: ../topology/local.yaml
        load: { domain: demo.example, registrations: 2000, renewals_per_s: 500, churn_per_s: 50, subscribers: 20 }
        steps: [ { at: 15s, start: killed }, { at: 5s, kill: owner } ]
        for: 30s
        expect: { lost: 0, stale: 0, accept_within: 1s, converge_within: 3s }
        """

    @Test func everyPartIsRead() throws {
        let drill = try DrillFile.parse(Self.sample, path: "drills/x.yaml")
        #expect(drill.name == "kill the owner under load")
        #expect(drill.topology == "drills/../topology/local.yaml")
        #expect(drill.load.domain == DomainName("demo.example"))
        #expect(drill.load.registrations == 2000)
        #expect(drill.load.renewalsPerSecond == 500)
        #expect(drill.load.churnPerSecond == 50)
        #expect(drill.load.subscribers == 20)
        #expect(drill.steps.map(\.at) == [.seconds(5), .seconds(15)])
        #expect(drill.steps.map(\.action) == [.kill(.owner), .start(.killed)])
        #expect(drill.duration == .seconds(30))
        #expect(drill.expect.acceptWithin == .seconds(1))
        #expect(drill.expect.convergeWithin == .seconds(3))
    }

    @Test func everyTargetIsRead() throws {
        let steps = """
            steps:
              - { at: 1s, kill: standby }
              - { at: 2s, kill: router }
              - { at: 3s, pause: sr2 }
              - { at: 3.5s, resume: paused }
              - { at: 4s, resume: sr2 }
              - { at: 5s, start: sr1 }
            """
        let drill = try DrillFile.parse(Self.minimal + steps, path: "x.yaml")
        #expect(
            drill.steps.map(\.action) == [
                .kill(.standby), .kill(.router), .pause(.node(NodeName("sr2"))), .resume(.paused),
                .resume(.node(NodeName("sr2"))), .start(.node(NodeName("sr1"))),
            ])
        #expect(drill.steps[3].at == .milliseconds(3500))
    }

    @Test func whoIsToOwnTheDomainInTheEndIsRead() throws {
        func read(_ expect: String) throws -> DrillFile { try DrillFile.parse(Self.minimal + expect, path: "x.yaml") }
        #expect(try read("expect: { owner: sr1, verify: true }\n").expect.owners == [NodeName("sr1")])
        #expect(try read("expect: { owner: [sr1, sr2], verify: true }\n").expect.owners.count == 2)
        #expect(try read("expect: { verify: true }\n").expect.verify)
        #expect(try !read("expect: { lost: 0 }\n").expect.verify)
        #expect(throws: DrillFileError.self) { try read("expect: { verify: perhaps }\n") }
        let local = try Topology.load(path: TestCluster.repository + "/topology/local.yaml")
        for (owner, isRight) in [("sr1", true), ("ws1", false), ("sr9", false)] {
            let problems = try read("expect: { owner: \(owner) }\n").problems(with: local)
            #expect(!problems.contains { $0.wrong.contains("has no sr node \(owner)") } == isRight, "\(problems)")
        }
    }

    @Test func aRollingRestartIsRead() throws {
        let steps = """
            steps: [ { at: 1s, restart: rolling }, { at: 2s, restart: sr1 } ]
            expect: { strays: 0, resyncs: 3 }

            """
        let drill = try DrillFile.parse(Self.minimal + steps, path: "x.yaml")
        #expect(drill.steps.map(\.action) == [.restart(.rolling), .restart(.node(NodeName("sr1")))])
        #expect(drill.expect.strays == 0 && drill.expect.resyncs == 3)
        #expect(throws: DrillFileError.self) {
            try DrillFile.parse(Self.minimal + "steps: [ { at: 1s, restart: owner } ]\n", path: "x.yaml")
        }
        #expect(throws: DrillFileError.self) {
            try DrillFile.parse(Self.minimal + "steps: [ { at: 1s, kill: rolling } ]\n", path: "x.yaml")
        }
    }

    @Test func aLoadOfPhonesIsRead() throws {
        let load = """
            sip: { contacts: 200, refresh_per_s: 20, password: secret, accounts: { first: 1001, count: 100 } }, \
            subscribers: 2
            """
        let text = Self.minimal.replacing("registrations: 10", with: load) + "expect: { sip_errors: 3 }\n"
        let drill = try DrillFile.parse(text, path: "x.yaml")
        #expect(drill.load.registrations == 200 && drill.load.renewalsPerSecond == 20)
        #expect(drill.load.sip == DrillFile.SIP(password: "secret", accounts: 1001...1100))
        #expect(drill.expect.sipErrors == 3)
        let open = try Topology.load(path: TestCluster.repository + "/topology/sip-open.yaml")
        #expect(drill.problems(with: open) == [])
        let both = Self.minimal.replacing("registrations: 10", with: "registrations: 10, sip: { contacts: 5 }")
        #expect(problems(both).map(\.wrong) == ["load.registrations: given beside sip"])
    }

    @Test func phonesNeedAGatewayThatTakesThem() throws {
        func wrong(_ sip: String, _ change: (String) -> String) throws -> [String] {
            let drill = try DrillFile.parse(
                Self.minimal.replacing("registrations: 10", with: "sip: { \(sip) }"), path: "x.yaml")
            let path = TestCluster.repository + "/topology/sip-open.yaml"
            let text = try String(contentsOfFile: path, encoding: .utf8)
            return drill.problems(with: try Topology.parse(change(text), path: "t.yaml")).map(\.wrong)
        }
        #expect(
            try wrong("contacts: 9") { $0.replacing("udp: 6060, ", with: "") } == [
                "t.yaml has no sg node with a UDP port"
            ])
        #expect(
            try wrong("contacts: 9") { $0.replacing(", open: true } }", with: " } }") } == [
                "no password although sg1 is not open"
            ])
        let crowd = try wrong("contacts: 900, accounts: { first: 1, count: 10 }") { $0 }
        #expect(crowd.count == 1 && crowd[0].hasPrefix("900 phones for 10 accounts with "))
    }

    @Test func allProblemsAreReportedWithTheirLines() {
        let text = """
            name: x
            topologie: local.yaml
            load: { domain: "not a domain", registrations: 0, renewal_per_s: 3 }
            steps:
              - { at: soon, kill: owner }
              - { at: 1s, kill: owner, pause: owner }
              - { at: 1s, kill: killed }
              - { at: 1s, cut: [a, b] }
              - { at: 1s, slow: host-a }
              - { at: 1s, kill: owner, way: in }
              - { at: 1s, cut: killed, way: up }
            for: 2 days
            """
        let problems = problems(text)
        #expect(problems.map(\.line) == [1, 2, 3, 3, 3, 5, 6, 7, 8, 9, 10, 11, 12])
        #expect(problems.contains { $0.description.contains("x.yaml:2: unknown key `topologie`; expected `topology`") })
        #expect(
            problems.contains { $0.description.contains("unknown key `load.renewal_per_s`; expected `renewals_per_s`") }
        )
        #expect(problems.contains { $0.wrong == "steps[5].slow: slow without delay and loss" })
        #expect(problems.contains { $0.wrong == "steps[6].way: given with kill" })
        #expect(problems.contains { $0.wrong == "steps[7].cut: found `killed`" })
    }

    @Test func stepsOnHostsAreRead() throws {
        let text =
            Self.minimal
                + """
                steps:
                  - { at: 1s, cut: host-a }
                  - { at: 2s, cut: owner, way: in }
                  - { at: 3s, slow: all, delay: 200ms, loss: 20% }
                  - { at: 4s, heal: all }
                  - { at: 5s, kill: copies }
                  - { at: 6s, kill: etcd-leader }
                  - { at: 7s, fill: owner }
                  - { at: 8s, free: filled }
                expect: { lost: told, detect_within: 3s }
                """
        let drill = try DrillFile.parse(text, path: "x.yaml")
        #expect(
            drill.steps.map(\.action) == [
                .cut(.named("host-a"), .both), .cut(.of(.owner), .in),
                .slow(.everywhere, DrillFile.Slowness(delay: .milliseconds(200), loss: 20)), .heal(.everywhere),
                .kill(.copies), .kill(.etcdLeader), .fill(.owner), .free(.filled),
            ])
        #expect(drill.steps.map(\.action.isFault) == [true, true, false, false, true, true, false, false])
        #expect(drill.faults.count == 6 && drill.faults[2] == "slow all by 200 ms, losing 20%")
        #expect(drill.expect.mayBeVoided && drill.expect.detectWithin == .seconds(3))
        let sites = try Topology.load(path: TestCluster.repository + "/topology/two-sites-etcd.yaml")
        #expect(drill.problems(with: sites) == [])
        #expect(drill.needsPrivateNetwork(on: sites))
        // On loopback there are no hosts to cut off, and the coordinator is a file.
        let local = try Topology.load(path: TestCluster.repository + "/topology/local.yaml")
        #expect(drill.problems(with: local).map(\.line) == [6, 7, 8, 9, 11])
        let unknown = try DrillFile.parse(Self.minimal + "steps: [ { at: 1s, cut: host-z } ]\n", path: "x.yaml")
        #expect(unknown.problems(with: sites).map(\.wrong) == ["\(sites.file) has no server and no site host-z"])
    }

    @Test func stepsOnTheBrokerAreReadAndNeedOne() throws {
        let text = Self.minimal + "steps:\n  - { at: 1s, kafka: stop }\n  - { at: 2s, kafka: start }\n"
        let drill = try DrillFile.parse(text, path: "x.yaml")
        #expect(drill.steps.map(\.action) == [.kafka(.stop), .kafka(.start)])
        #expect(drill.steps.map(\.action.isFault) == [false, false])
        #expect(drill.faults == ["kafka stop"])
        let told = try Topology.load(path: TestCluster.repository + "/topology/destinations.yaml")
        #expect(drill.problems(with: told) == [])
        let local = try Topology.load(path: TestCluster.repository + "/topology/local.yaml")
        #expect(drill.problems(with: local).map(\.line) == [6, 7])
        #expect(problems(Self.minimal + "steps:\n  - { at: 1s, kafka: kill }\n").map(\.line) == [6])
    }

    /// What a drill cannot run itself is said before anything is started.
    @Test func destinationsThatADrillCannotRunAreProblems() throws {
        let path = TestCluster.repository + "/topology/destinations.yaml"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        func wrong(_ old: String, _ new: String) throws -> [String] {
            #expect(text.contains(old))
            return DrillDestinations.problems(try Topology.parse(text.replacing(old, with: new), path: path)).map(
                \.wrong)
        }
        #expect(try wrong("127.0.0.1:9892", "127.0.0.1:9894") == [])
        #expect(try wrong("127.0.0.1:9892", "192.0.2.1:9892") == ["Kafka is at 192.0.2.1:9892"])
        #expect(try wrong("127.0.0.1:9893", "192.0.2.1:9893") == ["audit is at http://192.0.2.1:9893/events"])
        #expect(
            try wrong(#""shared with the receiver""#, "{ file: var/secret }") == ["the secret of audit is in a file"])
    }

    @Test func movementsAreSteps() throws {
        let drill = try DrillFile.parse(
            Self.minimal
                + """
                steps:
                  - { at: 1s, move: standby }
                  - { at: 2s, move: sr3 }
                  - { at: 3s, drain: owner }
                  - { at: 4s, undrain: drained }
                expect: { failed: 0, gap_within: 250ms }
                """, path: "x.yaml")
        #expect(
            drill.steps.map(\.action) == [
                .move(.standby), .move(.node(NodeName("sr3"))), .drain(.owner), .undrain(.drained),
            ])
        #expect(drill.steps.map(\.action.isFault) == [true, true, true, false])
        #expect(drill.expect.failed == 0 && drill.expect.gapWithin == .milliseconds(250))
        #expect(problems(Self.minimal + "steps:\n  - { at: 1s, move: owner }\n").count == 1)
    }

    @Test func aStepAfterTheEndIsAProblem() {
        let problems = problems(Self.minimal + "steps:\n  - { at: 11s, kill: owner }\n")
        #expect(problems.map(\.line) == [6])
    }

    @Test func whatIsNotYAMLIsAProblem() {
        #expect(problems("name: [").count == 1)
        #expect(problems("").count == 1)
        #expect(problems("- a\n- b").count == 1)
        #expect(problems("name: a\nname: b").count == 1)
    }

    @Test func aMissingFileIsAProblem() {
        let error = #expect(throws: DrillFileError.self) { try DrillFile.load(path: "/nonexistent/x.yaml") }
        #expect(error?.description.hasPrefix("/nonexistent/x.yaml:1: ") == true)
    }

    @Test func theDrillsOfTheRepositoryFitTheirTopologies() throws {
        let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../drills").standardizedFileURL.path
        let names = try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(".yaml") }
        #expect(names.count >= 4)
        var titles: Set<String> = []
        for name in names {
            let drill = try DrillFile.load(path: "\(directory)/\(name)")
            let topology = try Topology.load(path: drill.topology)
            #expect(drill.problems(with: topology) == [], "\(name)")
            // The table of many drills has a row for each.
            let isNew = titles.insert(drill.name).inserted
            #expect(isNew, "\(name): another drill is called \(drill.name)")
        }
    }

    @Test func namesTheTopologyDoesNotHaveAreProblems() throws {
        let text =
            Self.minimal.replacing("demo.example", with: "other.example")
            + "steps:\n  - { at: 1s, kill: sr99 }\n"
        let drill = try DrillFile.parse(text, path: "x.yaml")
        let topology = try Topology.load(path: TestCluster.repository + "/topology/local.yaml")
        #expect(drill.problems(with: topology).map(\.line) == [3, 6])
    }

    private static let minimal = """
        name: x
        topology: t.yaml
        load: { domain: demo.example, registrations: 10 }
        for: 10s

        """

    private func problems(_ text: String) -> [FileProblem] {
        do {
            _ = try DrillFile.parse(text, path: "x.yaml")
            return []
        } catch {
            return error.problems
        }
    }
}
