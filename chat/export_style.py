"""How the HTML report looks: light, dark, narrow and printed. A text in the language of style sheets, no code.

Next: chat/export_pdf.py
"""

STYLE = """\
:root {
  --ground: #ffffff; --panel: #f4f6f8; --ink: #1b222b; --soft: #55606e; --line: #d3dae1; --grid: #e6eaee;
  --curve: #2f6690; --band: #e69f00; --number: #7a4e00; --link: #1f5f8b; --warn: #9a3400; --warn-ground: #fff2e6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171c; --panel: #1c2128; --ink: #eef1f5; --soft: #aab4c1; --line: #39424d; --grid: #2a313a;
    --curve: #7fb8e0; --band: #e69f00; --number: #ffd27a; --link: #8ec5ec; --warn: #ffb480; --warn-ground: #35240f;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--ink); overflow-wrap: anywhere;
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
}
main { max-width: 68rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 1rem; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1.05rem; line-height: 1.4; margin: 0 0 .4rem; }
p { margin: 0 0 .6rem; max-width: 46rem; }
ul { margin: 0 0 .6rem; padding-left: 1.2rem; max-width: 46rem; }
a { color: var(--link); }
a:focus-visible { outline: 3px solid var(--band); outline-offset: 2px; }
figure { margin: 0; }
figcaption, caption, .soft, .over { color: var(--soft); font-size: .9rem; }
.over { margin: 0; letter-spacing: .04em; }
img { display: block; max-width: 100%; max-height: 44rem; width: auto; height: auto; border-radius: 6px; }
.verdict { background: var(--panel); border-left: 6px solid var(--curve); border-radius: 6px; padding: 1rem 1.25rem; }
.verdict.found { border-left-color: var(--band); }
.big { font-size: 1.35rem; font-weight: 650; margin-bottom: .35rem; }
.chips { list-style: none; padding: 0; margin: 0; display: flex; flex-wrap: wrap; gap: .4rem; }
.chips li { border: 1px solid var(--line); border-radius: 1rem; padding: .05rem .7rem; font-size: .9rem; }
.warn, .conflict { background: var(--warn-ground); border-left: 6px solid var(--warn); border-radius: 6px; }
.warn { padding: 1rem 1.25rem .6rem; margin-top: 1.25rem; }
.warn h2 { margin: 0 0 .4rem; font-size: 1.05rem; color: var(--warn); }
.conflict { padding: .5rem .9rem; }
.conflict strong { color: var(--warn); }
.conflict strong::before { content: "\\26a0\\fe0e  "; content: "\\26a0\\fe0e  " / ""; }
svg { display: block; width: 100%; height: auto; font-family: inherit; }
.narrow { display: none; }
.grid { stroke: var(--grid); stroke-width: 1; }
.axis { fill: var(--soft); }
.band { fill: var(--band); fill-opacity: .17; }
.cap { fill: var(--band); }
.number { fill: var(--number); font-weight: 650; text-anchor: middle; }
.under { fill: var(--curve); fill-opacity: .12; }
.curve { fill: none; stroke: var(--curve); stroke-width: 2; stroke-linejoin: round; }
.threshold { stroke: var(--ink); stroke-width: 1.2; stroke-dasharray: 6 5; }
table { border-collapse: collapse; width: 100%; margin-bottom: 1.5rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .4rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .7rem .4rem 0; border-bottom: 1px solid var(--line); }
thead th { font-size: .9rem; color: var(--soft); font-weight: 600; }
.said { display: none; }
.event, .turn { border-top: 1px solid var(--line); padding: 1.1rem 0; }
.event { display: grid; grid-template-columns: minmax(0, 26rem) minmax(0, 1fr); column-gap: 1.5rem; }
.event h3, .event .words { grid-column: 2; }
.event h3 { grid-row: 1; }
.event .words { grid-row: 2; }
.event figure { grid-column: 1; grid-row: 1 / span 3; }
.event img { max-height: 22rem; }
.event:not(:has(figure)) { display: block; }
.event:target, tr:target { background: var(--panel); }
section > figure + figure { margin-top: 1.5rem; }
.answer { white-space: pre-line; }
dl { margin: 0; }
dl div { display: grid; grid-template-columns: 9rem minmax(0, 1fr); padding: .3rem 0; }
dl div + div { border-top: 1px solid var(--line); }
dt { color: var(--soft); }
dd { margin: 0; }
@media screen and (max-width: 44rem) {
  main { padding: 1.25rem 1rem 3rem; }
  h1 { font-size: 1.5rem; }
  .wide { display: none; }
  svg.narrow { display: block; }
  span.narrow { display: inline; }
  .event { display: block; }
  .event figure { margin-top: .6rem; }
  dl div { display: block; }
  table, caption, tbody, tr, th, td { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  tr { border: 1px solid var(--line); border-radius: 6px; padding: .5rem .8rem; margin-bottom: .7rem; }
  th, td { border: 0; padding: .1rem 0; }
  td { display: grid; grid-template-columns: 6.5rem minmax(0, 1fr); }
  td::before { content: attr(data-label); color: var(--soft); }
  .said { display: inline; }
}
@page { size: A4; margin: 16mm 15mm 18mm; @bottom-right { content: counter(page) " / " counter(pages); } }
@media print {
  :root {
    --ground: #ffffff; --panel: #f4f6f8; --ink: #000000; --soft: #444b54; --line: #b9c1c9; --grid: #e0e4e8;
    --curve: #2f6690; --band: #e69f00; --number: #6b4400; --link: #000000; --warn: #8a2f00; --warn-ground: #fff2e6;
  }
  html { font-size: 10pt; }
  body { line-height: 1.45; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main, p, ul { max-width: none; }
  main { padding: 0; }
  h2 { margin-top: 16pt; }
  img { max-height: 16cm; }
  .event img { max-height: 7cm; }
  h1, h2, h3 { break-after: avoid; }
  a { text-decoration: none; }
  .event { grid-template-columns: 8cm minmax(0, 1fr); }
  .event, tr, figure, .conflict, .verdict, dl div { break-inside: avoid; }
  p { orphans: 3; widows: 3; }
}
"""
