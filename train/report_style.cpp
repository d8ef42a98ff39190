// The page's style sheet and script. Depends on report_parts.hpp. Invariant: neither names an address nor holds
// < or &; colours are set in one place, for light and for dark.
#include <thalweg/train/report_parts.hpp>

namespace thalweg::train::parts {

std::string_view style() {
  return R"css(:root {
  --paper: #f7f7f5; --card: #ffffff; --ink: #1b1e23; --soft: #5c636e; --faint: #9aa1ab; --rule: #e4e5e3;
  --s0: #1f5fd0; --s1: #c05a0a; --hit: 31 95 208; --miss: 196 66 32; --deep: #ffffff;
  --warn: #a13210; --warn-paper: #fdeee7; --mark: #eef3fc; --bar: #dfe8f9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14161a; --card: #1c1f25; --ink: #e8eaed; --soft: #a2a9b4; --faint: #6f7681; --rule: #30343c;
    --s0: #77a9ff; --s1: #f2a154; --hit: 82 137 240; --miss: 224 96 58; --deep: #ffffff;
    --warn: #ffb59b; --warn-paper: #3a221a; --mark: #22304a; --bar: #2a3d63;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 40px 28px 64px; }
h1, h2, h3, p, dl, dd, ol, figure { margin: 0; padding: 0; }
h1 { font-size: 26px; line-height: 1.2; font-weight: 650; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 18px; font-weight: 650; margin: 44px 0 12px; }
h3 { font-size: 14px; font-weight: 650; margin: 0 0 10px; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 16px; margin-bottom: 22px; }
.sub, .date, .lead, .note { color: var(--soft); }
.date { margin-left: auto; font-size: 13px; }
.lead { margin: -8px 0 14px; font-size: 14px; }
.note { font-size: 13px; margin-top: 8px; }
.num, .dims, .tile dd, .draw text, .read, .facts dd { font-variant-numeric: tabular-nums; }

.tiles { display: flex; flex-wrap: wrap; gap: 1px;
  background: var(--rule); border: 1px solid var(--rule); border-radius: 10px; overflow: hidden; }
.tile { flex: 1 1 150px; background: var(--card); padding: 16px 20px; display: flex; flex-direction: column; gap: 2px; }
.tile dt { font-size: 13px; color: var(--soft); }
.tile dd { font-size: 22px; line-height: 1.3; font-weight: 600; letter-spacing: -.01em; }
.tile small { display: block; font-size: 12.5px; font-weight: 400; color: var(--soft); letter-spacing: 0; }
.tile.first { flex: 2 1 290px; }
.tile.first dd { font-size: 50px; line-height: 1.1; font-weight: 680; letter-spacing: -.03em; color: var(--s0); }
.notice { margin-top: 12px; padding: 9px 14px; border-radius: 8px; background: var(--mark); font-size: 14px; }
.notice.warn { background: var(--warn-paper); color: var(--warn); }

.charts { display: flex; flex-wrap: wrap; gap: 16px; }
.charts + .charts { margin-top: 16px; }
.chart { flex: 1 1 min(100%, 440px); background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 14px 16px 12px; min-width: 0; }
.low .chart { flex-basis: min(100%, 300px); }
.chart figcaption { display: flex; justify-content: space-between; gap: 14px; line-height: 24px; white-space: nowrap; }
.chart b { font-weight: 650; }
.read { color: var(--soft); font-size: 13px; overflow: hidden; text-overflow: ellipsis; }
.plot { padding: 22px 82px 26px 50px; } .solo .plot { padding-right: 66px; } .low .plot { padding-top: 10px; }
.draw { display: block; } .draw, .draw svg { overflow: visible; }
.draw text { font-size: 12px; fill: var(--soft); }
.draw .rule { stroke: var(--rule); stroke-width: 1; shape-rendering: crispEdges; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: butt; vector-effect: non-scaling-stroke; }
.line.s0 { stroke-width: 2.4; } .dense .line { stroke-width: 1.3; }
.dash { stroke-dasharray: 6 3.5; }
.s0 { stroke: var(--s0); fill: var(--s0); } .s1 { stroke: var(--s1); fill: var(--s1); }
.line.s0, .line.s1 { fill: none; }
.area { stroke: none; opacity: .1; } .area.s1 { display: none; }
.dot { stroke: var(--card); stroke-width: 0; } .dot.open { fill: var(--card); stroke: var(--s1); stroke-width: 1.4; }
.ring { fill: var(--card); stroke-width: 2.4; }
.draw line.best { stroke: var(--faint); stroke-width: 1; stroke-dasharray: 2 3; }
.draw text.best { font-size: 11.5px; }
.draw text.end { stroke: none; font-weight: 600; } .draw text.s0 { fill: var(--s0); } .draw text.s1 { fill: var(--s1); }
.draw text.end.num { font-weight: 400; fill: var(--ink); }
.gap { fill: var(--warn); opacity: .12; } .draw text.bad { fill: var(--warn); font-weight: 600; }
.hit { fill: transparent; } .hit:hover { fill: var(--ink); fill-opacity: .06; }
.cross { stroke: var(--soft); stroke-width: 1; visibility: hidden; pointer-events: none; }

.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; }
th, td { padding: 5px 10px; text-align: left; font-weight: 400; }
table.num td, table.num th, th.num, td.num { text-align: right; }
thead th { color: var(--soft); font-size: 12.5px; white-space: nowrap; }
thead th, thead td { border-bottom: 1px solid var(--rule); }
tbody tr + tr { border-top: 1px solid var(--rule); }
tr.best { background: var(--mark); }
details { margin-top: 16px; background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 0 16px; }
details[open] { padding-bottom: 12px; }
summary { padding: 10px 0; cursor: pointer; font-size: 14px; color: var(--soft); }

.split { display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start; }
.split > div { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 16px; min-width: 0; }
.split > div:first-child { flex: 0 1 auto; }
.pairs { flex: 1 1 260px; }
.pairs ol { list-style: none; display: grid; gap: 10px; font-size: 14px; }
.pairs li { display: grid; grid-template-columns: 1fr auto; gap: 2px 12px; }
.pair i, .shot i { font-style: normal; color: var(--faint); }
.count small { display: inline-block; min-width: 50px; text-align: right; font-size: 12.5px; color: var(--soft); }
.bar { grid-column: span 2; height: 4px; border-radius: 2px; background: var(--rule); overflow: hidden; }
.bar b { display: block; height: 100%; background: rgb(var(--miss)); }
.matrix { border-collapse: separate; border-spacing: 2px; }
.matrix td { min-width: 44px; padding: 6px 7px; text-align: center !important; border-radius: 4px; font-size: 13px; }
.matrix thead th, .matrix thead td { border: 0; }
.matrix th[scope=row] { position: sticky; left: 0; background: var(--card); padding: 4px 10px 4px 0; }
.matrix .up { vertical-align: bottom; padding: 0 0 6px; text-align: center; }
.turned .up span { display: inline-block; writing-mode: vertical-rl; transform: rotate(180deg); }
.matrix .sum { color: var(--soft); padding-left: 10px; font-size: 12.5px; } .matrix .all { color: var(--ink); font-weight: 650; }
.hit, .miss { background: rgb(var(--c) / var(--a)); } td.hit { --c: var(--hit); } td.miss { --c: var(--miss); }
.deep { color: var(--deep); } .zero { color: var(--faint); }
.heat img { width: min(100%, 560px); height: auto; image-rendering: pixelated; border-radius: 6px; display: block; }
.heat figcaption { color: var(--soft); font-size: 13px; margin-top: 8px; }

.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(122px, 1fr)); gap: 16px 14px; }
.shot { font-size: 12.5px; line-height: 1.4; min-width: 0; }
.shot img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; image-rendering: pixelated; border-radius: 6px;
  background: var(--rule); }
.shot figcaption { margin-top: 5px; } .shot span { display: block; }
.shot b { font-weight: 650; } .shot .num { color: var(--soft); }

.model { width: 100%; background: var(--card); border: 1px solid var(--rule); }
.model th[scope=row], .model td { white-space: nowrap; }
.part { width: 22%; min-width: 90px; padding-left: 0; }
.part span { display: block; height: 8px; border-radius: 2px; background: var(--bar); }
.facts { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 6px 18px; }
.facts div { display: grid; grid-template-columns: 160px 1fr; gap: 0 16px; padding: 7px 0; font-size: 14px; }
.facts div + div { border-top: 1px solid var(--rule); }
.facts dt { color: var(--soft); } .facts dd { overflow-wrap: anywhere; white-space: pre-wrap; }

@media (max-width: 640px) {
  main { padding: 22px 14px 40px; }
  .date { margin-left: 0; width: 100%; }
  .chart { padding: 12px 12px 8px; } .plot { padding: 22px 76px 26px 40px; } .solo .plot { padding-right: 58px; }
  .chart figcaption { display: block; } .read { display: block; min-height: 24px; }
  .tile { flex-basis: 130px; padding: 12px 14px; } .tile.first dd { font-size: 42px; }
  .facts div { grid-template-columns: 1fr; }
  .grid { grid-template-columns: repeat(auto-fill, minmax(100px, 1fr)); gap: 12px 10px; }
}
@media print {
  body { background: none; } .chart, .shot, tr { break-inside: avoid; }
}
)css";
}

// Without it each chart's columns light up and name their numbers on hover; with it, all charts do so together.
std::string_view script() {
  return R"js((function () {
  var charts = Array.prototype.map.call(document.querySelectorAll('.chart'), function (figure) {
    var read = figure.querySelector('.read');
    return { figure: figure, read: read, rest: read.textContent, cross: figure.querySelector('.cross'),
      hits: Array.prototype.map.call(figure.querySelectorAll('.hit'), function (hit, i) {
        var title = hit.querySelector('title'), text = title.textContent;
        hit.removeChild(title);
        hit.addEventListener('pointerenter', function () { show(i); });
        return { x: hit.getAttribute('data-x'), text: text };
      }) };
  });
  function show(i) {
    charts.forEach(function (chart) {
      var hit = chart.hits[i];
      chart.read.textContent = hit ? hit.text : chart.rest;
      chart.cross.style.visibility = hit ? 'visible' : 'hidden';
      if (!hit) return;
      chart.cross.setAttribute('x1', hit.x);
      chart.cross.setAttribute('x2', hit.x);
    });
  }
  charts.forEach(function (chart) {
    chart.figure.addEventListener('pointerleave', function () { show(-1); });
  });
})();
)js";
}

}  // namespace thalweg::train::parts
