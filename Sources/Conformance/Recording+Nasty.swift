import RegistrarEvents

extension Recording {
    /// The stream that consumers are tried with: everything that at-least-once delivery, failovers and later versions
    /// can bring, in two domains.
    package static let nasty: Recording = {
        var stage = Stage()
        stage.playOrdinaryDays()
        stage.playLaterVersions()
        stage.playNames()
        stage.playFailovers()
        stage.playStorageCleared()
        stage.playGaps()
        stage.playEnd()
        return stage.recording
    }()
}

/// Two owners, and the stream that reaches the consumer.
private struct Stage {
    var recording = Recording()
    var demo = RecordedOwner("demo.example")
    var acme = RecordedOwner("acme.example", epoch: 6)

    mutating func send(_ events: RecordedOwner.Event...) { send(events) }

    mutating func send(_ events: some Sequence<RecordedOwner.Event>) {
        for event in events {
            let line = JSONLine.text("event", event.body)
            recording.steps.append(.send(recording.steps.count % 2 == 0 ? line : JSONLine.escaped(line)))
        }
    }

    mutating func expect(
        _ name: String, of owner: RecordedOwner, whole: Bool? = true, isKnown: Bool = true, at position: Position? = nil
    ) {
        recording.steps.append(
            .expect(
                Recording.Expectation(
                    name: name, domain: owner.domain, position: position ?? owner.position, isWhole: whole,
                    contacts: isKnown ? owner.listing : nil)))
    }

    mutating func playOrdinaryDays() {
        send(acme.succeed(.restart), acme.register(.sip("1001", "desk", ["user_agent": "acme"])))
        send(demo.succeed(.restart), demo.register(.user("u1", "c1")), demo.register(.sip("1001", "desk")))
        send(demo.register(.sip("1001", "desk", cseq: 2, ["peer_port": 5062])))
        expect("a renewal that says something new", of: demo)
        expect("another domain in the same stream, with the same names", of: acme)
        send(demo.register(.sip("1002", "desk")), demo.register(.user("1001", "desk")))
        send(demo.register(.user("u2", "c1")), demo.unregister(.sipuser, "1001", "desk"))
        send(acme.register(.user("u1", "c1")))
        expect("one contact id at two accounts, one name in two kinds", of: demo)
        send(demo.log.suffix(5))
        send(demo.log.suffix(2))
        expect("the last events are sent again, with a registration that has ended since", of: demo)
        let last = demo.register(.sip("1002", "desk", cseq: 9))
        send(last, last, last)
        expect("the same event three times", of: demo)
        send(demo.register(.sip("1004", "short"), ttl: 1), demo.unregister(.sipuser, "1004", "short", .expiredContact))
        send(demo.register(.sip("1004", "short", cseq: 5), ttl: 1))
        expect("expired and registered again; a short time to live is not the consumer's to count", of: demo)
        send(demo.unregister(.user, "u2", "c1", .deleteAOR), demo.unregister(.sipuser, "1002", "desk", .deleteContact))
        expect("ended by the server", of: demo)
    }

    mutating func playLaterVersions() {
        var event = demo.register(.sip("1003", "lobby", ["battery": .object(["percent": [.null, .number(1.5)]])]))
        event.body["trace"] = .object(["hops": ["sr1"]])
        let paused = demo.note("sipuser_paused", ["sipuser_id": "1003", "contact_id": "lobby"])
        var foreign = demo.note("user_registered", ["user_id": "u9", "connection_id": "c9"])
        foreign.body["event"] = foreign.body["event"]?.object.map {
            .object($0.merging(["class": "billingevents"]) { $1 })
        }
        recording.steps.append(.send(#"["notice",{"text":"a kind of message that is not known"}]"#))
        send(event, paused, foreign)
        expect("members, types, classes and messages that are not known take their place in the order", of: demo)
    }

    mutating func playNames() {
        let names: [RecordedOwner.Contact] = [
            .sip("zo\u{eb}", "h\u{f6}rer"), .sip("zoe\u{308}", "h\u{f6}rer"), .user("\u{7528}\u{6237}", "\u{1f4de}"),
            .sip("a|b", "c"), .sip("a", "b|c"), .sip("a\"\\/", "\u{1}\t"), .sip("A", "B|C"),
            .sip("__proto__", "constructor"),
        ]
        for contact in names { send(demo.register(contact)) }
        send(demo.unregister(.sipuser, "zoe\u{308}", "h\u{f6}rer"), demo.unregister(.sipuser, "a", "b|c"))
        expect("names that look alike, or that a separator would mix up", of: demo)
    }

    mutating func playFailovers() {
        let former = Array(demo.log.suffix(6))
        // What the former owner still says when it is deposed; the successor knows nothing of it.
        var deposed = demo
        let late = [deposed.register(.sip("1666", "ghost")), deposed.clear(), deposed.register(.user("u66", "ghost"))]
        let live = demo.contacts
        send(demo.succeed(.failover))
        send(demo.restate(Array(live.prefix(2))))
        send(demo.register(.sip("1005", "new")))
        send(demo.unregister(live[3].kind, live[3].name.accountName, live[3].name.contactID))
        send(demo.restate(Array(live.dropFirst(2))))
        expect("a failover, and amid its replay writes, one of which ends what was not restated yet", of: demo)
        send(late + former)
        expect("a deposed owner goes on: events of an earlier epoch, a clear among them", of: demo)
        send(late[0], demo.register(.user("u3", "c3")), late[1], demo.register(.user("u4", "c4")), late[2])
        expect("both owners by turns", of: demo)
        let mark = demo.log.count
        send(demo.succeed(.failover))
        send(demo.restate(Array(demo.contacts.prefix(3))))
        demo.forget(ContactName(.user, "u3", "c3"))
        send(demo.succeed(.restart, epochs: 3))
        send(demo.restate())
        expect("a replay that another failover cut short; what is not restated is gone", of: demo)
        send(demo.log[mark...])
        send(demo.log.suffix(1))
        expect("all of that again, the clears too", of: demo)
        send(acme.unregister(.user, "u1", "c1"))
        expect("the other domain, which none of this was about", of: acme)
    }

    mutating func playStorageCleared() {
        let clear = demo.clear()
        send(clear)
        expect("cleared in the middle of an epoch", of: demo)
        send(demo.register(.sip("1001", "desk")), clear, demo.register(.user("u1", "c1")))
        expect("filled again, and the clear once more", of: demo)
    }

    mutating func playGaps() {
        _ = demo.register(.sip("1007", "missed"))
        _ = demo.unregister(.sipuser, "1001", "desk")
        send(demo.register(.sip("1008", "after")))
        expect("two events are missing, and the consumer knows", of: demo, whole: false, isKnown: false)
        send(demo.register(.sip("1009", "later")))
        expect("it still knows after the next one", of: demo, whole: false, isKnown: false)
        let restated = demo.resync()
        send(restated)
        expect("everything restated for this consumer alone, at the position it had come to", of: demo, whole: nil)
        send(demo.register(.sip("1010", "live")), demo.unregister(.sipuser, "1009", "later"))
        expect("the log goes on after that", of: demo)
        send(restated)
        expect("that replay again, when the log has gone on", of: demo)
        for cseq in 1...4 { _ = demo.register(.sip("1011", "spooled", cseq: Int64(cseq))) }
        _ = demo.unregister(.sipuser, "1008", "after")
        let ahead = demo.resync()
        send(ahead.prefix(3))
        send(ahead)
        send(ahead.dropFirst(2))
        expect("restated ahead of what was seen, begun twice and ended twice", of: demo, whole: nil)
        send(demo.register(.sip("1012", "live")))
        expect("the log goes on after that, too", of: demo)
    }

    mutating func playEnd() {
        _ = demo.register(.sip("1013", "missed"))
        send(demo.resync().prefix(2))
        send(demo.succeed(.moved))
        send(demo.restate())
        expect("a replay for this consumer that a move cut short", of: demo)
        _ = demo.succeed(.failover)
        let lost = demo.restate()
        send(lost[1], lost[2])
        expect("an epoch whose clear is missing", of: demo, whole: false, isKnown: false, at: lost[2].position)
        send(demo.resync())
        send(demo.register(.user("u5", "c5")))
        expect("restated once more", of: demo)
        demo.forgetAll()
        send(demo.succeed(.restart))
        expect("a restart that nobody survived", of: demo)
        expect("the other domain, at the end", of: acme)
    }
}
