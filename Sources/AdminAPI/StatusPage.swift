import HTTPTypes
import Hummingbird

/// The page that a router shows to people: nodes, domains, owners, standbys and contacts, refreshed each second.
///
/// One file without anything from elsewhere. It holds no data; its script asks this node's REST address, with a token
/// where one is needed, and puts everything into the page as text, so that no name of an account can become markup.
enum StatusPage {
    static func add(to router: Router<AdminContext>) {
        router.get("/") { _, _ in response() }
    }

    private static func response() -> Response {
        // Always of the same length, so that nobody takes two answers for different ones.
        let nonce = String(UInt64.random(in: 1 << 63 ... .max), radix: 36)
        let html = """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>Rollcall</title>
            <style nonce="\(nonce)">\(style)</style>
            </head>
            \(markup)
            <script nonce="\(nonce)">\(script)</script>
            </html>
            """
        let policy =
            "default-src 'none'; style-src 'nonce-\(nonce)'; script-src 'nonce-\(nonce)'; connect-src 'self'; "
            + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        return Response(
            status: .ok,
            headers: [
                .contentType: "text/html; charset=utf-8", .contentSecurityPolicy: policy,
                .cacheControl: "no-store", .xContentTypeOptions: "nosniff", .referrerPolicy: "no-referrer",
            ],
            body: ResponseBody(byteBuffer: ByteBuffer(string: html)))
    }

    private static let markup = """
        <body>
        <header>
          <h1>Rollcall</h1><span id="router" class="muted"></span><span id="fresh" class="pill">connecting</span>
        </header>
        <div id="banner" role="alert" hidden></div>
        <form id="access" hidden>
          <label for="token">This address needs a token (admin)</label>
          <input id="token" type="password" autocomplete="off" spellcheck="false"><button>Use it</button>
        </form>
        <main>
          <section id="tiles" aria-label="Totals"></section>
          <section>
            <h2>Domains</h2>
            <table><thead><tr><th>Domain</th><th>Owner</th><th>Standbys</th><th class="number">Position</th>
            <th class="number">Users</th><th class="number">Devices</th><th class="number">Events/s</th></tr></thead>
            <tbody id="domains"></tbody></table>
          </section>
          <section>
            <h2>Nodes</h2>
            <div id="nodes"></div>
          </section>
          <div class="columns">
            <section>
              <h2>Contacts <span id="chosen" class="muted">choose a domain above</span></h2>
              <input id="account" placeholder="account" aria-label="Account" hidden>
              <table><tbody id="contacts"></tbody></table>
            </section>
            <section>
              <h2>What changed</h2>
              <ol id="log" aria-live="polite"></ol>
            </section>
          </div>
        </main>
        </body>
        """
}

extension HTTPField.Name {
    fileprivate static let referrerPolicy = HTTPField.Name("Referrer-Policy")!
}
