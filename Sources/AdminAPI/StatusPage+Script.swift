extension StatusPage {
    /// Asks for the status each second, shows it, and tells what is different from the second before.
    static let script = #"""
        "use strict";
        const $ = id => document.getElementById(id);
        const shown = 200, kept = 200, points = 60;
        let before = null, chosen = null, known = null, token = sessionStorage.getItem("rollcall-token");
        const rates = [];

        // Children that are strings become text, never markup.
        function element(tag, kind, ...children) {
          const made = document.createElement(tag);
          if (kind) made.className = kind;
          made.append(...children.map(child => child instanceof Node ? child : String(child)));
          return made;
        }
        const pill = (text, kind) => element("span", "pill " + (kind || ""), text);
        const number = value => Number(value).toLocaleString("en");
        const duration = s => s < 120 ? s + " s" : s < 7200 ? Math.floor(s / 60) + " min"
          : s < 172800 ? Math.floor(s / 3600) + " h" : Math.floor(s / 86400) + " d";
        const kinds = { up: "good", active: "good", suspect: "warn", draining: "warn", drained: "warn", down: "bad" };

        function log(text, kind) {
          const line = element("li", "", element("time", "", new Date().toLocaleTimeString()), " ");
          line.append(kind ? pill(text, kind) : text);
          $("log").prepend(line);
          while ($("log").childElementCount > kept) $("log").lastChild.remove();
        }
        function banner(...content) {
          $("banner").hidden = content.length === 0;
          $("banner").replaceChildren(...content);
        }
        function fresh(text, kind) {
          $("fresh").textContent = text;
          $("fresh").className = "pill " + kind;
        }
        async function ask(path) {
          const headers = token ? { Authorization: "Bearer " + token } : {};
          const answer = await fetch(path, { headers, signal: AbortSignal.timeout(4000) });
          const body = await answer.json();
          if (!answer.ok) throw Object.assign(new Error(body.error.message), { status: answer.status, ...body.error });
          return body;
        }

        // Rows stay the same elements from second to second, or a slow click or the keyboard's focus would be lost.
        const rows = new Map();
        function rowOf(name) {
          if (rows.has(name)) return rows.get(name);
          const cells = ["", "", "", "number", "number", "number", "number"].map(kind => element("td", kind));
          const row = element("tr", "", ...cells);
          cells[0].append(element("button", "", name));
          row.onclick = () => choose(name);
          rows.set(name, row);
          return row;
        }
        function showDomains(status, perDomain) {
          const present = status.domains.map(domain => {
            const row = rowOf(domain.name);
            row.className = domain.name === chosen ? "chosen" : "";
            [
              [domain.owner ? domain.owner : pill("no owner", "bad")],
              domain.standbys.map(s => pill(s.name + (s.in_sync ? "" : " (filling)"), s.in_sync ? "good" : "warn")),
              [domain.epoch + ":" + domain.seq], [number(domain.contacts.user)], [number(domain.contacts.sipuser)],
              [number(perDomain.get(domain.name) ?? 0)]
            ].forEach((content, index) => row.cells[index + 1].replaceChildren(...content));
            return row;
          });
          const table = $("domains");
          if (present.length !== table.rows.length || present.some((row, index) => row !== table.rows[index]))
            table.replaceChildren(...present);
        }
        function showNodes(status) {
          $("nodes").replaceChildren(...status.nodes.map(node => element("div", "node",
            element("div", "", element("b", "", node.name), pill(node.status, kinds[node.status])),
            element("small", "", node.roles.join(", ") + " · " + node.site + "/" + node.server),
            element("div", "", element("small", "", node.pid ? "pid " + node.pid : "never heard of"),
              element("small", "", duration(node.uptime_s))))));
        }
        function tile(title, value, extra) {
          const made = element("div", "tile", element("b", "", value), title);
          if (extra) made.append(extra);
          return made;
        }
        function curve() {
          const space = "http://www.w3.org/2000/svg", top = Math.max(1, ...rates);
          const drawing = document.createElementNS(space, "svg"), line = document.createElementNS(space, "polyline");
          drawing.setAttribute("viewBox", "0 0 " + (points - 1) + " 34");
          drawing.setAttribute("preserveAspectRatio", "none");
          line.setAttribute("vector-effect", "non-scaling-stroke");
          line.setAttribute("points", rates.map((rate, i) => i + "," + (32 - 30 * rate / top)).join(" "));
          drawing.append(line);
          return drawing;
        }
        function showTiles(status) {
          const sum = pick => number(status.domains.reduce((total, domain) => total + pick(domain), 0));
          const up = status.nodes.filter(node => node.status === "up").length;
          $("tiles").replaceChildren(
            tile("users", sum(d => d.contacts.user)), tile("devices", sum(d => d.contacts.sipuser)),
            tile("domains served", status.domains.filter(d => d.owner).length + " of " + status.domains.length),
            tile("nodes up", up + " of " + status.nodes.length),
            tile("events/s", number(rates.at(-1) ?? 0), curve()));
          const active = status.routers.find(router => router.state === "active");
          const away = status.coordinator?.state === "unreachable";
          const leader = active ? "active router " + active.name + ", term " + active.term : "no router leads";
          $("router").textContent = leader
            + (away ? "; coordinator unreachable since " + new Date(status.coordinator.unreachable_since).toISOString()
              + ": " + status.coordinator.error : "");
        }

        const byName = list => new Map(list.map(item => [item.name, item]));
        function tellChanges(was, is) {
          const routers = byName(was.routers), nodes = byName(was.nodes), domains = byName(was.domains);
          for (const router of is.routers) {
            const old = routers.get(router.name);
            if (old && old.state !== router.state) log(router.name + " is " + router.state, kinds[router.state]);
          }
          for (const node of is.nodes) {
            const old = nodes.get(node.name);
            if (old && old.status !== node.status) log(node.name + " is " + node.status, kinds[node.status]);
            if (old && old.incarnation && old.incarnation !== node.incarnation)
              log(node.name + " was restarted", "warn");
          }
          for (const domain of is.domains) {
            const old = domains.get(domain.name);
            if (!old) continue;
            if (old.epoch !== domain.epoch)
              log(domain.name + " epoch " + domain.epoch + ": " + (old.owner || "nobody") + " → "
                + (domain.owner || "nobody"), "warn");
            const standbys = byName(old.standbys);
            for (const s of domain.standbys)
              if (s.in_sync !== standbys.get(s.name)?.in_sync)
                log(domain.name + ": " + s.name + (s.in_sync ? " is in sync" : " is being filled"));
          }
        }
        function measure(was, is, seconds) {
          const old = byName(was.domains), perDomain = new Map();
          for (const domain of is.domains) {
            const earlier = old.get(domain.name);
            const events = earlier && earlier.epoch === domain.epoch ? domain.seq - earlier.seq : domain.seq;
            perDomain.set(domain.name, earlier ? Math.max(0, Math.round(events / seconds)) : 0);
          }
          rates.push([...perDomain.values()].reduce((total, rate) => total + rate, 0));
          if (rates.length > points) rates.shift();
          return perDomain;
        }

        function choose(name) {
          chosen = name;
          known = null;
          $("account").hidden = false;
          $("contacts").replaceChildren();
          showContacts().catch(() => {});  // The next refresh tells what is wrong.
        }
        async function showContacts() {
          const domain = chosen, account = $("account").value.trim();
          if (!domain) return;
          const query = "?limit=" + shown + (account ? "&account=" + encodeURIComponent(account) : "");
          const list = await ask("/rest/v1/registrar/domains/" + encodeURIComponent(domain) + "/contacts" + query);
          if (domain !== chosen || account !== $("account").value.trim()) return;
          $("chosen").textContent = domain + (list.length === shown ? ", the first " + shown : ", " + list.length);
          const now = new Map(list.map(c => [c.kind + " " + c.account + " " + c.contact_id, c]));
          // Only a whole list can tell what is new and what is gone.
          if (known && known.size < shown && now.size < shown) {
            for (const [key, c] of now) if (!known.has(key)) log(c.account + " registered " + c.contact_id, "good");
            for (const [key, c] of known) if (!now.has(key)) log(c.account + " ended " + c.contact_id);
          }
          known = now;
          $("contacts").replaceChildren(...list.map(c => element("tr", "",
            element("td", "", pill(c.kind)), element("td", "", c.account),
            element("td", "", c.contact_uri || c.contact_id),
            element("td", "", c.user_agent || c.app || ""), element("td", "number", c.expires_in + " s"))));
        }

        async function refresh() {
          try {
            const status = await ask("/rest/v1/cluster/status?redirect=no"), at = performance.now();
            banner();
            $("access").hidden = true;
            const perDomain = before ? measure(before.status, status, (at - before.at) / 1000) : new Map();
            if (before) tellChanges(before.status, status);
            before = { status, at };
            showTiles(status);
            showDomains(status, perDomain);
            showNodes(status);
            await showContacts();
            fresh("live", "good");
          } catch (error) {
            fresh(error.status ? "waiting" : "not reachable", error.status ? "warn" : "bad");
            if (error.status === 401 || error.status === 403) $("access").hidden = false;
            if (error.leader && /^https?:\/\//.test(error.leader)) {
              const link = element("a", "", error.leader);
              link.href = error.leader;
              banner("This router stands by. The active one is at ", link);
            } else banner(error.status ? error.message : "This router does not answer.");
          }
          setTimeout(refresh, 1000);
        }
        $("access").onsubmit = event => {
          event.preventDefault();
          token = $("token").value.trim();
          sessionStorage.setItem("rollcall-token", token);
        };
        $("account").oninput = () => { known = null; };
        refresh();
        """#
}
