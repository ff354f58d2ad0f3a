/// What events are about; the part of their names before the dot. Source: the platform's documentation.
public enum EventClass: String, CaseIterable, Sendable {
    /// Each registration and its end.
    case registrarEvents = "registrarevents"
    /// Changes of views that are derived from them.
    case modelEvents = "modelevents"
}
