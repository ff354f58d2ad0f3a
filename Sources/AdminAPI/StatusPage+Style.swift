extension StatusPage {
    /// Light and dark by the system's setting; colours only tell what words tell as well.
    static let style = """
        :root { color-scheme: light dark;
          --page: #f5f6f8; --card: #fff; --ink: #1c2330; --muted: #667085; --line: #e3e7ee;
          --accent: #2f6feb; --good: #147a4b; --good-bg: #e3f5eb; --warn: #935f00; --warn-bg: #fdf1d8;
          --bad: #b3261e; --bad-bg: #fce8e6; }
        @media (prefers-color-scheme: dark) { :root {
          --page: #10141b; --card: #181e28; --ink: #e6eaf1; --muted: #93a0b4; --line: #283142;
          --accent: #7aa7ff; --good: #6fd6a2; --good-bg: #12301f; --warn: #f1c069; --warn-bg: #33270f;
          --bad: #ff9b92; --bad-bg: #3b1815; } }
        * { box-sizing: border-box; }
        body { margin: 0 auto; max-width: 1200px; padding: 20px; background: var(--page); color: var(--ink);
          font: 14px/1.5 system-ui, sans-serif; }
        header { display: flex; align-items: baseline; gap: 12px; margin-bottom: 16px; }
        h1 { font-size: 22px; margin: 0; letter-spacing: -.02em; }
        h2 { font-size: 14px; margin: 0 0 10px; }
        header .pill { margin-left: auto; }
        section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 16px;
          margin-bottom: 16px; overflow-x: auto; }
        #tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 16px; }
        .tile b { display: block; font-size: 26px; font-weight: 650; line-height: 1.2; }
        .tile, .muted { color: var(--muted); } .tile b { color: var(--ink); }
        h2 .muted { font-weight: 400; }
        .tile svg { width: 100%; height: 34px; margin-top: 4px; } section:empty { display: none; }
        .tile polyline { fill: none; stroke: var(--accent); stroke-width: 2; }
        table { width: 100%; border-collapse: collapse; }
        th { text-align: left; font-weight: 500; color: var(--muted); font-size: 12px; }
        th, td { padding: 6px 10px 6px 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
        tbody tr:last-child td { border-bottom: 0; }
        .number, time { text-align: right; font-variant-numeric: tabular-nums; }
        #domains tr { cursor: pointer; } #domains tr:hover td { color: var(--accent); }
        #domains tr.chosen td:first-child { color: var(--accent); font-weight: 600; }
        td button { all: unset; cursor: pointer; } td button:focus-visible { outline: 2px solid var(--accent); }
        .pill { display: inline-block; border-radius: 99px; padding: 1px 9px; margin-right: 5px; font-size: 12px;
          border: 1px solid var(--line); color: var(--muted); }
        .good { background: var(--good-bg); color: var(--good); border-color: transparent; }
        .warn { background: var(--warn-bg); color: var(--warn); border-color: transparent; }
        .bad { background: var(--bad-bg); color: var(--bad); border-color: transparent; }
        #nodes { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 10px; }
        .node { border: 1px solid var(--line); border-radius: 10px; padding: 10px 12px; }
        .node div { display: flex; justify-content: space-between; } .node small { color: var(--muted); }
        .columns { display: grid; grid-template-columns: 3fr 2fr; gap: 16px; align-items: start; }
        @media (max-width: 900px) { .columns { grid-template-columns: 1fr; } }
        #contacts td { max-width: 320px; overflow: hidden; text-overflow: ellipsis; }
        #log { list-style: none; margin: 0; padding: 0; max-height: 460px; overflow-y: auto; }
        #log li { padding: 4px 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
        #log li:last-child { border: 0; }
        #log time { color: var(--muted); margin-right: 4px; }
        #banner, #access { border-radius: 12px; padding: 12px 16px; margin-bottom: 16px; background: var(--warn-bg);
          color: var(--warn); } #banner a { color: inherit; }
        input, form button { font: inherit; color: var(--ink); background: var(--page); padding: 4px 10px;
          border: 1px solid var(--line); border-radius: 8px; margin: 0 6px 8px 0; }
        [hidden] { display: none !important; }
        """
}
