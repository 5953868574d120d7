import { randomBytes } from 'node:crypto';
import { Refused } from '../errors.ts';
import type { Keys } from './keys.ts';
import type { Sql } from './sql.ts';

/** A webhook as people see it: never its secret, and of its address the host alone. */
export interface Webhook {
  id: number;
  department: string;
  role: string;
  region: string;
  /** The officer of the department who answers for what is delivered, and is named in the log. */
  officer: string;
  officerName: string;
  purpose: string;
  basis: string;
  case: string;
  /** SHA-256 of the registered document. */
  document: string;
  host: string;
  keyVersion: number;
  /** `dead`: the receiver did not take a delivery for too long; `ended`: the grant is over; both go on with a redelivery. */
  state: 'active' | 'dead' | 'ended' | 'removed';
  /** Why it is not active, or what the last attempt met: a status or a code, never text of the receiver. */
  note: string;
  /** Deliveries that were taken. */
  number: number;
  /** Attempts of the delivery under way. */
  attempts: number;
  nextAt: string;
  deliveredAt: string | null;
  registeredName: string;
  registeredAt: string;
}

const COLUMNS = `id, department, role, region, officer, officer_name as "officerName", purpose, basis, purpose_case as "case", document, host,
  key_version as "keyVersion", state, note, number, attempts, next_at as "nextAt", delivered_at as "deliveredAt", registered_name as "registeredName",
  registered_at as "registeredAt"`;
const ADDRESS = 'webhook.url';
const SECRET = 'webhook.secret';

export type NewWebhook = Pick<
  Webhook,
  'department' | 'role' | 'region' | 'officer' | 'officerName' | 'purpose' | 'basis' | 'case' | 'document'
> & {
  url: string;
};

/** Registers a webhook that is told what changes beyond `place`, and makes its secret (32 bytes, base64), which is given this once. */
export async function keepWebhook(
  sql: Sql,
  keys: Keys,
  of: NewWebhook,
  place: number,
  by: { id: string; name: string },
): Promise<{ webhook: Webhook; secret: string }> {
  const secret = randomBytes(32).toString('base64');
  const { rows } = await sql.query<Webhook>(
    `insert into webhook (department, role, region, officer, officer_name, purpose, basis, purpose_case, document, url, host, secret, place, registered_by, registered_name)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) returning ${COLUMNS}`,
    [
      of.department,
      of.role,
      of.region,
      of.officer,
      of.officerName,
      of.purpose,
      of.basis,
      of.case,
      of.document,
      keys.seal(of.url, ADDRESS),
      new URL(of.url).host,
      keys.seal(secret, SECRET),
      place,
      by.id,
      by.name,
    ],
  );
  return { webhook: rows[0] as Webhook, secret };
}

export async function listWebhooks(sql: Sql, limit: number): Promise<Webhook[]> {
  const { rows } = await sql.query<Webhook>(`select ${COLUMNS} from webhook where state <> 'removed' order by id desc limit $1`, [limit]);
  return rows;
}

/** Changes a webhook that is not removed. Throws `Refused` WEBHOOK_NOT_FOUND. */
async function change(sql: Sql, id: number, set: string, values: readonly unknown[] = []): Promise<Webhook> {
  const { rows } = await sql.query<Webhook>(`update webhook set ${set} where id = $1 and state <> 'removed' returning ${COLUMNS}`, [
    id,
    ...values,
  ]);
  const [found] = rows;
  if (found === undefined) throw new Refused('WEBHOOK_NOT_FOUND', '未找到该推送地址');
  return found;
}

/** Tries again at once, from where the last delivery that was taken ended: a dead one and an ended one too. */
export const redeliverWebhook = (sql: Sql, id: number): Promise<Webhook> =>
  change(sql, id, `state = 'active', note = '', attempts = 0, next_at = now(), failing_since = null`);

export const removeWebhook = (sql: Sql, id: number): Promise<Webhook> =>
  change(sql, id, `state = 'removed', leased_until = null, lease = null`);

/** A new secret in place of the old one, from the next attempt on. */
export async function renewSecret(sql: Sql, keys: Keys, id: number): Promise<{ webhook: Webhook; secret: string }> {
  const secret = randomBytes(32).toString('base64');
  return { webhook: await change(sql, id, 'secret = $2, key_version = key_version + 1', [keys.seal(secret, SECRET)]), secret };
}

/** A webhook whose delivery this process makes now. */
export interface Due extends Webhook {
  url: string;
  secret: string;
  place: number;
  pending: number | null;
  failingSince: string | null;
  lease: string;
}

/** Takes what is due and nobody else delivers: one process at a time delivers for a webhook, so its order is kept. */
export async function takeDue(sql: Sql, keys: Keys, head: number, leaseMs: number, most: number): Promise<Due[]> {
  const { rows } = await sql.query<Due>(
    `update webhook set lease = gen_random_uuid(), leased_until = now() + make_interval(secs => $1::float8 / 1000)
     where id in (select id from webhook where state = 'active' and next_at <= now() and (leased_until is null or leased_until < now()) and place < $2
       order by next_at limit $3 for update skip locked)
     returning ${COLUMNS}, url, secret, place, pending, failing_since as "failingSince", lease`,
    [leaseMs, head, most],
  );
  return rows.map((row) => ({ ...row, url: keys.open(row.url, ADDRESS), secret: keys.open(row.secret, SECRET) }));
}

export async function hasWebhooks(sql: Sql): Promise<boolean> {
  return (await sql.query(`select from webhook where state = 'active' limit 1`)).rowCount > 0;
}

export type Delivery =
  | { to: 'passed'; place: number }
  | { to: 'pending'; place: number }
  | { to: 'taken'; place: number }
  | { to: 'failed'; note: string; waitMs: number }
  | { to: 'dead' | 'ended'; note: string };

/** Notes how far a delivery came; false where another process has taken it over meanwhile. */
export async function noteDelivery(sql: Sql, { id, lease }: Pick<Due, 'id' | 'lease'>, delivery: Delivery): Promise<boolean> {
  const [set, ...values] = ((): [string, ...unknown[]] => {
    switch (delivery.to) {
      case 'passed':
        return ['place = $3, pending = null, attempts = 0, failing_since = null, leased_until = null', delivery.place];
      case 'pending':
        return ['pending = $3, attempts = attempts + 1', delivery.place];
      case 'taken':
        return [
          `place = $3, pending = null, number = number + 1, attempts = 0, failing_since = null, note = '', delivered_at = now(), leased_until = null`,
          delivery.place,
        ];
      case 'failed':
        return [
          `note = $3, next_at = now() + make_interval(secs => $4::float8 / 1000), failing_since = coalesce(failing_since, now()), leased_until = null`,
          delivery.note,
          delivery.waitMs,
        ];
      case 'dead':
      case 'ended':
        return ['state = $3, note = $4, leased_until = null', delivery.to, delivery.note];
    }
  })();
  return (
    (await sql.query(`update webhook set ${set} where id = $1 and lease = $2 and state = 'active'`, [id, lease, ...values])).rowCount > 0
  );
}
