import RegistrarEvents
import SIP

/// A contact as an answer to REGISTER lists it, up to its `expires`.
///
/// Source: RFC 3261 section 10.3, step 8; RFC 5626 section 6; RFC 5627 section 5.3 for GRUUs.
enum ContactLine {
    /// What is kept of a contact.
    static func write(
        _ texts: borrowing PackedContact.SIPTexts, _ domain: DomainName, account: String,
        _ extensions: RegisterRequest.Extensions, into writer: inout ByteWriter
    ) {
        writer.literal("<")
        writer.append(texts.contactURI)
        writer.literal(">")
        if texts.instanceID.count > 0 {
            writer.literal(";+sip.instance=\"<")
            writer.append(withinQuotes: texts.instanceID)
            writer.literal(">\"")
        }
        if texts.regID > 0 {
            writer.literal(";reg-id=")
            writer.append(UInt64(texts.regID))
        }
        if texts.parameters.count > 0 {
            writer.literal(";")
            writer.append(texts.parameters)
        }
        if let gruus = extensions.gruus, texts.instanceID.count > 0 {
            writer.literal(";pub-gruu=\"sip:")
            writer.append(user: account.utf8)
            writer.literal("@")
            writer.append(domain.rawValue)
            writer.literal(";gr=")
            writer.append(uriParameter: texts.instanceID)
            writer.literal("\"")
            writer.literal(";temp-gruu=\"sip:")
            writer.append(
                gruus.token(for: account, instance: texts.instanceID, call: texts.callID, of: domain))
            writer.literal("@")
            writer.append(domain.rawValue)
            writer.literal(";gr\"")
        }
    }
}
