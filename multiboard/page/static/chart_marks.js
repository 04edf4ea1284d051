// What is drawn on a chart besides its lines.

import { cssColor } from "./theme.js";

// Draw vertical lines at {x, label, color, dash}.
export function drawMarks(plot, marks) {
  const { ctx, bbox } = plot;
  const scale = devicePixelRatio;
  ctx.save();
  ctx.font = `${10 * scale}px system-ui, sans-serif`;
  for (const mark of marks) {
    const x = Math.round(plot.valToPos(mark.x, "x", true)) + 0.5;
    if (!(x >= bbox.left - 1 && x <= bbox.left + bbox.width + 1)) continue;
    ctx.strokeStyle = ctx.fillStyle = mark.color || cssColor("--accent");
    ctx.lineWidth = scale;
    ctx.setLineDash((mark.dash || [3, 3]).map((length) => length * scale));
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const rightmost = x > bbox.left + bbox.width * 0.8;
    ctx.textAlign = rightmost ? "right" : "left";
    if (mark.label) ctx.fillText(mark.label, x + (rightmost ? -4 : 4) * scale, bbox.top + 9 * scale);
  }
  ctx.restore();
}

// Mark what is not finite: a cross at the lower edge for NaN, a triangle at the edge to which an infinite value went.
export function drawLost(plot, lost) {
  const { ctx, bbox } = plot;
  const size = 4 * devicePixelRatio;
  ctx.save();
  for (const one of lost) {
    const x = plot.valToPos(one.x, "x", true);
    if (!(x >= bbox.left && x <= bbox.left + bbox.width)) continue;
    const up = one.value === Infinity;
    const y = up ? bbox.top + size : bbox.top + bbox.height - size;
    ctx.strokeStyle = ctx.fillStyle = one.color;
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.beginPath();
    if (Number.isNaN(one.value)) {
      for (const side of [-1, 1]) {
        ctx.moveTo(x - size * side, y - size);
        ctx.lineTo(x + size * side, y + size);
      }
      ctx.stroke();
    } else {
      ctx.moveTo(x - size, up ? y + size : y - size);
      ctx.lineTo(x + size, up ? y + size : y - size);
      ctx.lineTo(x, up ? y - size : y + size);
      ctx.fill();
    }
  }
  ctx.restore();
}
