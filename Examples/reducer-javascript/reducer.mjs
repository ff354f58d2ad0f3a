#!/usr/bin/env node
// Keeps the set of who is registered from a stream of registrarevents. No dependencies; the classes run in browsers, too.
//
// As a module: `new Reducer().take(notification)`. As a program it reads one notification a line, as `rollcall tail --json`
// prints them, or the messages of `rollcall conformance`, and answers `["state", …]`.

const REGISTERED = new Map([["user_registered", "user"], ["sipuser_registered", "sipuser"]])
const UNREGISTERED = new Map([["user_unregistered", "user"], ["sipuser_unregistered", "sipuser"]])

// A contact is known by all three: names repeat from kind to kind and from account to account.
function identify(kind, data) {
  return kind === "user"
    ? { kind, account: data.user_id, contact_id: data.connection_id }
    : { kind, account: data.sipuser_id, contact_id: data.contact_id }
}

// As JSON, so that no separator within a name can make two of them one.
const keyOf = ({ kind, account, contact_id }) => JSON.stringify([kind, account, contact_id])

const isAfter = (a, b) => a.epoch > b.epoch || (a.epoch === b.epoch && a.seq > b.seq)
const isSame = (a, b) => b !== null && a.epoch === b.epoch && a.seq === b.seq

/** One domain: its contacts, and where in its order they stand. */
export class DomainSet {
  contacts = new Map() // Key to what identifies the contact, with the data of its last event.
  position = { epoch: 0, seq: 0 } // Of the last event that counted.
  isWhole = false // False when something is missing, until the next `clear`.
  restating = null // The position of a `clear` made for us alone, while what follows it restates.
  duplicates = 0
  deposed = 0
  gaps = 0

  /** Applies a notification. False when it says nothing new. */
  take({ epoch, seq, replay = false, event }) {
    const position = { epoch, seq }
    const type = event.class === "registrarevents" ? event.type : null
    const isClear = type === "clear"
    const isOurs = isClear && ["snapshot", "resync"].includes(event.data.reason)
    if (isOurs && !isAfter(this.position, position)) {
      this.restating = position
      this.isWhole = false
    } else if (replay && isSame(position, this.restating)) {
      // Everything that is restated for us alone has the position of its `clear`.
    } else if (isAfter(position, this.position)) {
      this.#follow(position, isClear)
    } else {
      if (epoch < this.position.epoch) this.deposed++ // From an owner that was replaced.
      else this.duplicates++
      return false
    }
    this.position = position
    this.#apply(type, event.data)
    return true
  }

  // Is this the next event of the log? After a `clear` nothing that came before it matters.
  #follow(position, isClear) {
    const { epoch, seq } = this.position
    const isNext = position.epoch === epoch && position.seq === seq + 1
    if (!isClear && !isNext && epoch > 0) this.gaps++
    this.isWhole = isClear || (isNext && (this.isWhole || this.restating !== null))
    this.restating = null
  }

  #apply(type, data) {
    if (type === "clear") {
      this.contacts.clear()
    } else if (REGISTERED.has(type)) {
      const contact = identify(REGISTERED.get(type), data)
      const { ttl, ...lasting } = data
      this.contacts.set(keyOf(contact), { ...contact, ...lasting })
    } else if (UNREGISTERED.has(type)) {
      this.contacts.delete(keyOf(identify(UNREGISTERED.get(type), data)))
    }
  }

  /** Told that everything up to a position has been sent (websockets, with `exargs.synced`). */
  synced({ epoch, seq }) {
    const position = { epoch, seq }
    if (isSame(position, this.position) && isSame(position, this.restating)) this.isWhole = true
  }
}

/** All domains of a stream, each with an order of its own. */
export class Reducer {
  #domains = new Map()

  domain(name) {
    if (!this.#domains.has(name)) this.#domains.set(name, new DomainSet())
    return this.#domains.get(name)
  }

  take(notification) {
    return this.domain(notification.domain).take(notification)
  }
}

async function main() {
  const { createInterface } = await import("node:readline")
  const reducer = new Reducer()
  for await (const line of createInterface({ input: process.stdin })) {
    const message = JSON.parse(line)
    const [method, body] = Array.isArray(message) ? message : ["event", message]
    if (method === "event") reducer.take(body)
    else if (method === "synced") reducer.domain(body.domain).synced(body)
    else if (method === "state") {
      const { position, isWhole, contacts } = reducer.domain(body.domain)
      const state = { qid: body.qid, result: "ok", position, whole: isWhole, contacts: [...contacts.values()] }
      console.log(JSON.stringify(["state_result", state]))
    }
  }
}

if (typeof process !== "undefined" && import.meta.url === `file://${process.argv[1]}`) await main()
