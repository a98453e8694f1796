// Draws the table of a figure: its first column are days or times (<time datetime>), each other one a line or bars.

import Plot from "uplot";

const MONTHS = new Intl.DateTimeFormat(document.documentElement.lang, { day: "numeric", month: "short" });

export function draw(figure) {
  if (figure.dataset.drawn !== undefined) return;
  figure.dataset.drawn = "";
  const rows = [...figure.querySelectorAll("tbody tr")];
  const names = [...figure.querySelectorAll("thead th")].slice(1).map((th) => th.textContent);
  const times = rows.map((row) => new Date(row.querySelector("time").dateTime) / 1000);
  const series = names.map((_, at) => rows.map((row) => Number(row.cells[at + 1].dataset.value)));
  const canvas = Object.assign(document.createElement("div"), { className: "canvas", ariaHidden: "true" });
  figure.prepend(canvas);
  const colour = (name) => getComputedStyle(figure).getPropertyValue(name).trim();
  const half = times.length > 1 ? (times[1] - times[0]) / 2 : 43200;
  let plot;
  const make = () => {
    plot?.destroy();
    // Tokens are light-dark(…): a probe says what they are now.
    const probe = figure.appendChild(document.createElement("i"));
    const now = (name) => { probe.style.color = `var(${name})`; return getComputedStyle(probe).color; };
    const [ink, line, tones] = [now("--soft"), now("--line"), ["--accent", "--info", "--warn"].map(now)];
    probe.remove();
    const font = `12px ${colour("--sans")}`;
    const axis = { stroke: ink, font, ticks: { show: false }, grid: { stroke: line, width: 1 } };
    plot = new Plot({
      width: canvas.clientWidth,
      height: 176,
      padding: [12, 24, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 7 } },
      // Bars are as wide as they are: half of one stands beyond the first and the last time.
      scales: { x: { range: (_, low, high) => (figure.dataset.plot === "bars" ? [low - half, high + half] : [low, high]) }, y: { range: (_, low, high) => [0, Math.max(high, 4)] } },
      axes: [
        { ...axis, grid: { show: false }, values: (_, ticks) => ticks.map((t) => MONTHS.format(t * 1000)), space: 64, size: 28 },
        { ...axis, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1e5] },
      ],
      series: [{}, ...names.map((name, at) => ({
        label: name, stroke: tones[at % tones.length], width: 2, points: { show: false },
        ...(figure.dataset.plot === "bars" ? { fill: tones[at % tones.length], width: 0, paths: Plot.paths.bars({ size: [0.7, 48], radius: 0.15 }) } : {}),
      }))],
      hooks: { setCursor: [(u) => { tell(u.cursor.idx); }] },
    }, [times, ...series], canvas);
  };
  // The legend names the lines, and tells their figures of the day under the pointer.
  const legend = Object.assign(document.createElement("ul"), { className: "legend", ariaHidden: "true" });
  const keys = names.map((_, at) => {
    const item = legend.appendChild(document.createElement("li"));
    item.append(Object.assign(document.createElement("i"), { className: `key ${["one", "two", "three"][at % 3]}` }), document.createElement("span"));
    return item.lastChild;
  });
  const day = legend.insertBefore(document.createElement("li"), legend.firstChild);
  figure.prepend(legend);
  const tell = (at) => {
    day.textContent = at == null ? "" : MONTHS.format(times[at] * 1000);
    keys.forEach((key, n) => { key.textContent = names[n] + (at == null ? "" : ` ${series[n][at]}`); });
  };
  tell(null);
  make();
  new ResizeObserver(() => { if (figure.isConnected && Math.abs(plot.width - canvas.clientWidth) > 1) plot.setSize({ width: canvas.clientWidth, height: 176 }); }).observe(canvas);
  new MutationObserver(() => figure.isConnected && make()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => figure.isConnected && make());
}
