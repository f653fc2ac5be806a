// Draws the views of the report with Chart.js: modes side by side, spreads as whiskers, footnote signs above.
"use strict";

const views = JSON.parse(document.getElementById("views").textContent);

const markers = { "tun": "circle", "tap": "rectRot", "tap+bridge": "triangle", "uplink": "crossRot" };

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + name.replace("+", "-")).trim();
}

/** Three significant digits, as in the tables. */
function shortNumber(value) {
  const size = Math.abs(value);
  return value.toFixed(size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
}

/** From the least to the most of each point, and its footnote signs. */
const whiskers = {
  id: "whiskers",
  afterDatasetsDraw(chart) {
    const context = chart.ctx;
    context.save();
    context.fillStyle = color("text");
    context.textAlign = "center";
    context.textBaseline = "bottom";
    chart.data.datasets.forEach((dataset, index) => {
      if (!chart.isDatasetVisible(index) || !dataset.points) return;
      const scale = chart.scales.y;
      const isLine = chart.config.type === "line";
      context.strokeStyle = isLine ? dataset.borderColor : color("text");
      context.lineWidth = isLine ? 1.5 : 1;
      chart.getDatasetMeta(index).data.forEach((element, row) => {
        const point = dataset.points[row];
        if (!point) return;
        // Whiskers at one place of a line would hide each other.
        const x = element.x + (isLine ? 3 * (index - 1) : 0);
        const cap = Math.min(4, (element.width || 8) / 2);
        const top = scale.getPixelForValue(point.most);
        const bottom = Math.min(scale.getPixelForValue(point.least), chart.chartArea.bottom);
        context.beginPath();
        context.moveTo(x, top);
        context.lineTo(x, bottom);
        for (const end of [top, bottom]) {
          context.moveTo(x - cap, end);
          context.lineTo(x + cap, end);
        }
        context.stroke();
        context.fillText(point.signs, x, top - 2);
      });
    });
    context.restore();
  },
};

/** What an axis has to reach so that all whiskers that are drawn at first lie within. */
function reach(view) {
  const shown = view.points.flatMap((row) => row.filter((point, column) => point && !startsHidden(view, view.columns[column])));
  const most = Math.max(...shown.map((point) => point.most));
  const least = Math.min(...shown.map((point) => point.least));
  return view.logarithmic ? { suggestedMin: least * 0.8, suggestedMax: most * 1.4 } : { suggestedMin: 0, suggestedMax: most * 1.05 };
}

/** The bare uplink is so much faster that the tunnels would lie flat on the axis. */
function startsHidden(view, mode) {
  return mode === "uplink" && !view.logarithmic && view.columns.length > 1;
}

/** One data set for each mode. */
function dataOfModes(view) {
  return view.columns.map((mode, column) => {
    const points = view.points.map((row) => row[column]);
    return {
      label: mode,
      data: points.map((point) => (point ? point.median : null)),
      points,
      borderColor: color(mode),
      backgroundColor: color(mode),
      borderDash: mode === "uplink" ? [5, 4] : [],
      borderWidth: view.shape === "lines" ? 2 : 0,
      pointStyle: markers[mode],
      pointRadius: 4,
      spanGaps: true,
      hidden: startsHidden(view, mode),
    };
  });
}

/** One data set for each part of the whole. */
function dataOfParts(view) {
  return view.rows.map((part, row) => ({
    label: part,
    data: view.points[row].map((point) => (point ? point.median : null)),
    values: view.points[row],
    backgroundColor: color("part-" + (row % 4)),
    borderColor: color("ground"),
    borderWidth: 1,
    maxBarThickness: 90,
  }));
}

function draw(view) {
  const isStacked = view.shape === "stacked";
  const axis = { grid: { color: color("line"), borderColor: color("line") }, ticks: { color: color("muted") } };
  // Where there is room, labels have a line for each of their parts.
  const labels = isStacked ? view.columns : view.rows.map((row) => (row.includes(", ") && !narrow.matches ? row.split(", ") : row));
  return new Chart(document.getElementById("chart-" + view.id), {
    type: view.shape === "lines" ? "line" : "bar",
    data: { labels, datasets: isStacked ? dataOfParts(view) : dataOfModes(view) },
    plugins: [whiskers],
    options: {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      layout: { padding: { top: 6 } },
      scales: {
        x: {
          ...axis,
          stacked: isStacked,
          offset: true,
          grid: { ...axis.grid, display: false },
          ticks: { ...axis.ticks, autoSkip: false, maxRotation: 90 },
          title: { display: !isStacked, text: view.rowName, color: color("muted") },
        },
        y: {
          ...axis,
          type: view.logarithmic ? "logarithmic" : "linear",
          stacked: isStacked,
          ...(isStacked ? { min: 0, max: 100 } : reach(view)),
          ticks: { ...axis.ticks, callback: (value) => tickText(value, view) },
          title: { display: true, text: view.unit, color: color("muted") },
        },
      },
      plugins: {
        legend: { labels: { color: color("text"), usePointStyle: view.shape === "lines", boxWidth: 12, boxHeight: 8 } },
        tooltip: { callbacks: { label: (item) => tipText(item, view) } },
      },
    },
  });
}

/** On a logarithmic axis there is room for some of the ticks. */
function tickText(value, view) {
  if (view.logarithmic && ![1, 2, 5].includes(Number(value.toExponential()[0]))) return "";
  return String(Number(value.toPrecision(6)));
}

function tipText(item, view) {
  const point = (item.dataset.points || item.dataset.values)[item.dataIndex];
  if (!point) return item.dataset.label + ": not measured";
  return `${item.dataset.label}: ${shortNumber(point.median)} (${shortNumber(point.least)}–${shortNumber(point.most)}) ` +
    view.unit + point.signs;
}

Chart.defaults.font.family = "system-ui, sans-serif";

const narrow = matchMedia("(max-width: 44rem)");
let charts = [];
function drawAll() {
  for (const chart of charts) chart.destroy();
  charts = views.map(draw);
}
drawAll();
narrow.addEventListener("change", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
