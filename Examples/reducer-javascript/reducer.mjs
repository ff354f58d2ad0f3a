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
const isSame = (a, b) => a.epoch === b.epoch && a.seq === b.seq

/** One domain: its contacts, and where in its order they stand. */
export class DomainSet {
  contacts = new Map() // Key to what identifies the contact, with the data of its last event.
  position = { epoch: 0, seq: 0 } // Of the last event that counted.
  isWhole = false // False when something is missing, until the next `clear`.
  restating = null // The position of a snapshot, while its end was not seen: who is cut off then begins anew.
  duplicates = 0
  deposed = 0
  gaps = 0

  /** Applies a notification. False when it says nothing new. */
  take(notification) {
    const { epoch, seq, replay = false } = notification
    const event = notification.event ?? notification // Kafka and webhooks send it in one piece.
    const position = { epoch, seq }
    const type = event.class === "registrarevents" ? event.type : null
    const isClear = type === "clear"
    const isOurs = isClear && ["snapshot", "resync"].includes(event.data.reason)
    // What is restated for us alone is not in the log, and has the position that it was taken at.
    if (!isAfter(position, this.position) && !(isSame(position, this.position) && (isOurs || replay))) {
      if (epoch < this.position.epoch) this.deposed++ // From an owner that was replaced.
      else this.duplicates++
      return false
    }
    this.#follow(position, isClear, isOurs)
    this.position = position
    this.#apply(type, event.data)
    return true
  }

  // Is this the next event of the log? After a `clear` nothing that came before it matters.
  #follow(position, isClear, isOurs) {
    const { epoch, seq } = this.position
    const isNext = isSame(position, this.position) || (position.epoch === epoch && position.seq === seq + 1)
    if (!isClear && !isNext && epoch > 0) this.gaps++
    this.isWhole = isClear || (isNext && this.isWhole)
    if (isOurs) this.restating = position
    else if (!isSame(position, this.position)) this.restating = null
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
    if (isSame({ epoch, seq }, this.position)) this.restating = null
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
