/// One header field of a message: which it is, and where its name and value stand.
struct HeaderField: Sendable {
    let header: HeaderName
    let name: Part
    /// Without the white space around it.
    let value: Part
}
