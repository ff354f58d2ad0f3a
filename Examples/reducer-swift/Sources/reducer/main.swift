import Foundation
import RegistrarReducer

// One notification a line, as `rollcall tail --json` prints them, or the messages of `rollcall conformance`.
var reducer = Reducer()
let decoder = JSONDecoder()
let encoder = JSONEncoder()
encoder.outputFormatting = .withoutEscapingSlashes
while let line = readLine() {
    switch try decoder.decode(Message.self, from: Data(line.utf8)) {
    case .event(let notification): reducer.take(notification)
    case .synced(let place): reducer[place.domain].synced(at: Position(epoch: place.epoch, seq: place.seq))
    case .state(let query):
        let state = try encoder.encode(State(qid: query.qid, kept: reducer[query.domain]))
        FileHandle.standardOutput.write(state + Data([UInt8(ascii: "\n")]))
    case .other: break
    }
}
