import RegistrarEvents
import SIP

/// A contact as an answer to REGISTER lists it, up to its `expires`.
///
/// Source: RFC 3261 section 10.3, step 8; RFC 5626 section 6; RFC 5627 section 5.3 for GRUUs.
struct ContactLine {
    private(set) var bytes: [UInt8]

    init(
        _ details: SIPUserDetails, _ domain: DomainName, account: String, _ extensions: RegisterRequest.Extensions
    ) {
        var writer = ByteWriter(reserving: 192)
        writer.append("<")
        writer.append(details.contactURI)
        writer.append(">")
        if !details.instanceID.isEmpty {
            writer.append(";+sip.instance=")
            writer.append(quoted: "<" + details.instanceID + ">")
        }
        if details.regID > 0 {
            writer.append(";reg-id=")
            writer.append(UInt64(details.regID))
        }
        if !details.parameters.isEmpty {
            writer.append(";")
            writer.append(details.parameters)
        }
        if extensions.supportsGRUU, !details.instanceID.isEmpty {
            writer.append(";pub-gruu=")
            writer.append(quoted: "sip:\(account)@\(domain);gr=\(details.instanceID)")
        }
        bytes = writer.bytes
    }
}
