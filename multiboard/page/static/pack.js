// The layout of what multiboard/page/pack.py writes: a JSON text, and the arrays that belong into it as bytes behind it.

const MAGIC = 0x3150424d; // "MBP1"
const READERS = { f4s: floats, i4d: ascending, f8: (bytes) => new Float64Array(bytes), i4: (bytes) => new Int32Array(bytes),
  u1: (bytes) => new Uint8Array(bytes) };
const SIZES = { f4s: 4, i4d: 4, f8: 8, i4: 4, u1: 1 };

// Return the object in an ArrayBuffer, with typed arrays in their places.
export function unpack(buffer) {
  const head = new DataView(buffer);
  if (buffer.byteLength < 8 || head.getUint32(0, true) !== MAGIC) throw new Error("This is no answer of multiboard.");
  const length = head.getUint32(4, true);
  const start = 8 + length;
  return JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)), (key, value) => {
    const [dtype, offset, count] = (value && Array.isArray(value.$) && value.$) || [];
    if (!Object.hasOwn(READERS, dtype ?? "")) return value;
    return READERS[dtype](buffer.slice(start + offset, start + offset + count * SIZES[dtype]));
  });
}

// Put back together numbers of four bytes: all first bytes, then all second bytes, and so on.
function unshuffled(buffer) {
  const from = new Uint8Array(buffer);
  const to = new Uint8Array(from.length);
  const count = from.length / 4;
  for (let part = 0; part < 4; part += 1) {
    for (let at = 0, source = part * count; at < count; at += 1) to[4 * at + part] = from[source + at];
  }
  return to.buffer;
}

function floats(buffer) {
  return new Float32Array(unshuffled(buffer));
}

function ascending(buffer) {
  const values = new Int32Array(unshuffled(buffer));
  for (let at = 1; at < values.length; at += 1) values[at] += values[at - 1];
  return values;
}
