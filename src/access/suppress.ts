/**
 * Small cells of tables (U28, HN-5). A count that stands for fewer than k subjects tells of somebody. It is hidden, and so are others, until neither sums
 * nor differences of what is still shown give it back.
 */

/** One cell of a table with its margins: a value for each dimension, null where the cell is the sum over that dimension. No cell counts nothing. */
export interface Counted {
  at: readonly (string | null)[];
  records: number;
  subjects: number;
}

/** A hidden cell as an edge between its two lines: how far its value can go up and down while every shown sum stays what it is. */
interface Edge<C> {
  cell: C;
  from: number;
  to: number;
  /** Of the signed value: margins count negative, so that every line adds up to nothing. */
  up: number;
  down: number;
}

const UNBOUNDED = Number.MAX_SAFE_INTEGER;

/**
 * Which cells of a table of one or two dimensions must not be shown. `k`: the fewest subjects that may be shown. What is left shown says of each hidden
 * number of records no more than a range of at least k numbers, by exact bounds (a maximal flow through the lines); and no line tells the sum of its hidden
 * cells unless one of them alone has k subjects. Absent cells are known to be nothing, hidden ones to be something.
 */
export function hiddenCells<C extends Counted>(cells: readonly C[], k: number): Set<C> {
  const hidden = new Set(cells.filter((cell) => cell.subjects < k));
  const lines = linesOf(cells);
  /** The smallest shown cell next to the hidden one, or next to those that hang together with it where there is none. */
  const hideOneMore = (cell: C): boolean => {
    const reached = new Set([cell]);
    for (const one of reached) {
      for (const line of lines.filter((of) => of.includes(one))) {
        const next = smallest(line.filter((of) => !hidden.has(of)));
        if (next) {
          hidden.add(next);
          return true;
        }
        for (const of of line) reached.add(of);
      }
    }
    return false;
  };
  for (let again = true; again;) {
    again = false;
    for (const line of lines) {
      const own = line.filter((cell) => hidden.has(cell));
      if (own.length === 0 || own.some((cell) => cell.subjects >= k)) continue;
      const next = smallest(line.filter((cell) => !hidden.has(cell)));
      if (next) {
        hidden.add(next);
        again = true;
      }
    }
    if (again) continue;
    const edges = edgesOf(cells, hidden);
    const loose = edges.find((edge) => width(edges, edge, k) < k);
    if (loose) again = hideOneMore(loose.cell);
  }
  return hidden;
}

/** Inner cells before margins, small ones before large ones: what is hidden for others' sake should be missed least. */
function smallest<C extends Counted>(cells: readonly C[]): C | undefined {
  const margins = (cell: C) => cell.at.filter((value) => value === null).length;
  return [...cells].sort((a, b) => margins(a) - margins(b) || a.records - b.records || (keyOf(a.at) < keyOf(b.at) ? -1 : 1))[0];
}

const keyOf = (at: readonly (string | null)[]): string => JSON.stringify(at);

/** Cells that add up: those that differ in one dimension alone, with the margin over it. */
function linesOf<C extends Counted>(cells: readonly C[]): C[][] {
  const dimensions = cells[0]?.at.length ?? 0;
  return Array.from({ length: dimensions }, (_, i) => [...Map.groupBy(cells, (cell) => keyOf(cell.at.toSpliced(i, 1))).values()]).flat();
}

function edgesOf<C extends Counted>(cells: readonly C[], hidden: ReadonlySet<C>): Edge<C>[] {
  const nodes = new Map<string, number>();
  const node = (side: number, at: readonly (string | null)[]): number => {
    const key = `${side}${keyOf(at)}`;
    const known = nodes.get(key) ?? nodes.size;
    nodes.set(key, known);
    return known;
  };
  return cells
    .filter((cell) => hidden.has(cell))
    .map((cell) => {
      const negative = cell.at.filter((value) => value === null).length % 2 === 1;
      const [grows, shrinks] = [UNBOUNDED, cell.records - 1];
      // A table of one dimension has one line; its other end is a node that all cells share and that adds up just as well.
      return {
        cell,
        from: node(0, cell.at.slice(1)),
        to: node(
          1,
          cell.at.slice(0, 1).filter(() => cell.at.length > 1),
        ),
        up: negative ? shrinks : grows,
        down: negative ? grows : shrinks,
      };
    });
}

/** How many numbers a hidden cell could be, at most `enough` and one more. */
function width<C>(edges: readonly Edge<C>[], edge: Edge<C>, enough: number): number {
  const others = edges.filter((one) => one !== edge);
  const up = Math.min(edge.up, flow(others, edge.to, edge.from, enough));
  const down = Math.min(edge.down, flow(others, edge.from, edge.to, enough));
  return Math.min(enough, up) + Math.min(enough, down);
}

/** The largest flow between two lines through the hidden cells, as far as it is asked for (Ford and Fulkerson, shortest paths first). */
function flow<C>(edges: readonly Edge<C>[], source: number, sink: number, enough: number): number {
  const arcs = new Map<number, { to: number; left: number; back: number; index: number }[]>();
  const all: { to: number; left: number; back: number; index: number }[] = [];
  const add = (from: number, to: number, left: number, back: number) => {
    const arc = { to, left, back, index: all.length };
    all.push(arc);
    arcs.set(from, [...(arcs.get(from) ?? []), arc]);
  };
  for (const { from, to, up, down } of edges) {
    add(from, to, up, all.length + 1);
    add(to, from, down, all.length - 1);
  }
  let total = 0;
  while (total < enough) {
    const reached = new Map<number, number>([[source, -1]]);
    const queue = [source];
    for (let at = queue.shift(); at !== undefined && !reached.has(sink); at = queue.shift()) {
      for (const arc of arcs.get(at) ?? []) {
        if (arc.left <= 0 || reached.has(arc.to)) continue;
        reached.set(arc.to, arc.index);
        queue.push(arc.to);
      }
    }
    if (!reached.has(sink)) break;
    const path: number[] = [];
    for (let at = sink; at !== source;) {
      const index = reached.get(at) ?? -1;
      path.push(index);
      at = all[all[index]?.back ?? -1]?.to ?? source;
    }
    const more = Math.min(enough - total, ...path.map((index) => all[index]?.left ?? 0));
    for (const index of path) {
      const arc = all[index];
      const back = arc && all[arc.back];
      if (!arc || !back) continue;
      arc.left -= more;
      if (back.left < UNBOUNDED) back.left += more;
    }
    total += more;
  }
  return total;
}
