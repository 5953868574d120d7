import type { DatabaseVia } from '../model/types.ts';
import type { Page, RawRecord } from './contract.ts';
import { quoted, tableName } from './database.ts';
import type { Database } from './database.ts';

/** Columns of ours in the answer: where a row version is and which one it is. No platform has columns of these names. */
const PLACE = '__hub_place';
const VERSION = '__hub_version';

/**
 * Rows of a front database that wait to be exchanged, in order. `ack` marks exactly the row versions of its page: a row that was written
 * again meanwhile keeps waiting and is in the next run. A row given but not marked is given again. The cursor is the flag, at the source.
 */
export async function* pullExchange(
  database: Database,
  via: DatabaseVia,
  exchange: NonNullable<DatabaseVia['exchange']>,
): AsyncGenerator<Page> {
  const table = tableName(via.table);
  const flag = quoted(exchange.flag);
  const order = quoted(exchange.order);
  const [waiting] = await database.query(`select count(*)::text as total from ${table} where ${flag} = $1`, [exchange.pending]);
  const total = Number(waiting?.['total']);
  let after: unknown[] = [];
  for (;;) {
    // Always onwards, so that a run ends although rows are written again behind it.
    const rows = await database.query(
      `select *, ctid::text as ${PLACE}, xmin::text as ${VERSION} from ${table}
       where ${flag} = $1 ${after.length === 0 ? '' : `and (${order}, ctid) > ($3, $4::tid)`} order by ${order}, ctid limit $2`,
      [exchange.pending, via.size, ...after],
    );
    const versions = rows.map((row) => ({ place: row[PLACE], version: row[VERSION] }));
    const records = rows.map((row): RawRecord => {
      const { [PLACE]: _place, [VERSION]: _version, ...data } = row;
      return { at: `row ${String(row[exchange.order])}`, data };
    });
    const end = rows.at(-1);
    if (end) after = [end[exchange.order], end[PLACE]];
    const last = rows.length < via.size;
    const ack = async (): Promise<void> => {
      if (versions.length === 0) return;
      await database.query(
        `update ${table} as t set ${flag} = $1
         from unnest($2::text[], $3::text[]) as taken(place, version)
         where t.ctid = taken.place::tid and t.xmin::text = taken.version and t.${flag} = $4`,
        [exchange.done, versions.map((v) => v.place), versions.map((v) => v.version), exchange.pending],
      );
    };
    yield { records, cursor: null, last, total, ack };
    if (last) return;
  }
}
