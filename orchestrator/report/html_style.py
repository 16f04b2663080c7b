"""The style sheet of report.html: phone first, light and dark, nothing fetched."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1b1f24; --soft: #59636e; --line: #d9dee4;
  --bad: #c21f30; --doubt: #a15c00; --idle: #6a737d; --fine: #1a7f45;
  --order: #0b66b5; --order-wash: #e4f0fb;
  --bad-wash: #fdebec; --doubt-wash: #fdf1de; --idle-wash: #eef0f2; --fine-wash: #e5f5eb;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1317; --card: #171c22; --ink: #e4e8ec; --soft: #9aa5b1; --line: #2c343d;
    --bad: #ff8087; --doubt: #f0b35a; --idle: #9aa5b1; --fine: #63d391;
    --order: #6fb6f5; --order-wash: #14293d;
    --bad-wash: #371a1e; --doubt-wash: #33270f; --idle-wash: #232a31; --fine-wash: #14301f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 76rem; margin: 0 auto; padding: 1rem; }
section, header { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem;
  margin: 0 0 1rem; }
header { border-left: 6px solid var(--tone); background: var(--wash); }
.bad { --tone: var(--bad); --wash: var(--bad-wash); }
.doubt { --tone: var(--doubt); --wash: var(--doubt-wash); }
.idle { --tone: var(--idle); --wash: var(--idle-wash); }
.order { --tone: var(--order); --wash: var(--order-wash); }
.fine { --tone: var(--fine); --wash: var(--fine-wash); }
h1 { font-size: 1rem; font-weight: 600; margin: 0; color: var(--soft); }
h2 { font-size: 1.05rem; margin: 0 0 .6rem; }
p { margin: .35rem 0; }
.status { font-size: 1.6rem; line-height: 1.2; font-weight: 700; color: var(--tone); margin: .1rem 0 .4rem; }
.sentence { font-size: 1.1rem; font-weight: 600; }
.soft, small { color: var(--soft); }
code, pre { font-family: var(--mono); font-size: .88em; }
pre { margin: .4rem 0 0; padding: .6rem .8rem; border: 1px solid var(--line); border-radius: 6px;
  background: var(--page); white-space: pre-wrap; user-select: all; }
ul { margin: 0; padding-left: 1.2rem; }
a { color: inherit; }
bdi { unicode-bidi: isolate; }
.bar { display: block; width: 100%; height: .7rem; border-radius: 4px; margin: 0 0 .8rem; }
.bar rect { fill: var(--tone); }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .6rem; margin: 0; }
.tiles div { border-left: 4px solid var(--tone); padding: .1rem .6rem; }
.tiles dt { font-weight: 600; }
.tiles dd { margin: 0; }
.tiles .number { font-size: 1.5rem; line-height: 1.2; font-weight: 700; color: var(--tone);
  font-variant-numeric: tabular-nums; }
.tiles small { display: block; line-height: 1.35; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .45rem .6rem; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--soft); font-size: .85rem; font-weight: 600; white-space: nowrap; }
.lanes th { overflow-wrap: normal; }
.lanes td { text-align: right; font-variant-numeric: tabular-nums; }
.lanes thead th + th { text-align: right; }
.lanes tbody th { font-weight: 400; }
.lanes .zero { color: var(--soft); opacity: .6; }
.lanes td.bad, .lanes td.doubt { color: var(--tone); font-weight: 700; }
.badge { display: inline-block; white-space: nowrap; padding: 0 .5rem; border-radius: 1rem; font-size: .85rem;
  font-weight: 600; color: var(--tone); background: var(--wash); border: 1px solid var(--tone); }
.targets small, .residual small { display: block; }
.facts { display: grid; grid-template-columns: fit-content(20rem) minmax(0, 1fr); gap: .2rem 1rem; margin: 0; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; min-width: 0; }
summary { cursor: pointer; font-weight: 600; }
details[open] summary { margin-bottom: .6rem; }
@media (max-width: 47rem) {
  main { padding: .6rem; }
  section, header { padding: .8rem; }
  .targets thead, .residual thead, .lanes thead, .lanes .zero { display: none; }
  .lanes, .lanes tbody, .lanes tr, .lanes tbody th { display: block; }
  .lanes tr { border-top: 1px solid var(--line); padding: .5rem 0; }
  .lanes tr:first-child { border-top: 0; padding-top: 0; }
  .lanes tbody th, .lanes td { border: 0; padding: 0; overflow-wrap: anywhere; }
  .lanes td { display: inline-block; margin-right: 1rem; }
  .lanes td::after { content: " " attr(data-label); font-weight: 400; }
  .targets, .targets tbody, .targets tr, .targets td { display: block; width: auto; }
  .residual, .residual tbody, .residual tr, .residual td { display: block; width: auto; }
  .targets tr, .residual tr { border-top: 1px solid var(--line); padding: .6rem 0; }
  .targets tr:first-child, .residual tr:first-child { border-top: 0; padding-top: 0; }
  .targets td, .residual td { border: 0; padding: .1rem 0; }
  .targets td:empty { display: none; }
  .targets td[data-label]::before,
  .residual td[data-label]::before { content: attr(data-label) " "; color: var(--soft); font-size: .85rem; }
  .facts { grid-template-columns: 1fr; gap: 0; }
  .facts dd { margin-bottom: .4rem; }
}
@media (min-width: 47.01rem) {
  .targets td:nth-child(2) { min-width: 14rem; }
  .residual td:nth-child(2) { min-width: 9rem; }
  .targets td:nth-child(4) { max-width: 20rem; }
  .targets td:nth-child(5) { text-align: right; }
  .targets td:nth-child(6) { white-space: nowrap; }
}
@media print { body { background: none; } section, header { break-inside: avoid-page; } }
"""
