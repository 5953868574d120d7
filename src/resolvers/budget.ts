import type { Caller } from '../access/caller.ts';
import { Refused } from '../errors.ts';
import type { Budget, Limits } from '../model/types.ts';

/**
 * How much may be asked: units that each department, each person of it, and each address that shows no valid token spend and get back with time.
 * A request costs `budgets.request` units before it is read, and one for each row it may bring before it runs. Kept by each process on its own.
 */
export interface Budgets {
  /** Takes what a request costs by itself. Throws `Refused` BUDGET_EXCEEDED (429), which says in how many seconds there will be enough. */
  request(caller: Caller): void;
  /** Takes one unit for each row that a query may bring; all of it or, with the same refusal, nothing. */
  rows(caller: Caller, rows: number): void;
  /** Takes what a request without a valid token costs. */
  stranger(client: string): void;
}

interface Bucket {
  units: number;
  at: number;
}

/** Buckets remembered; the one that was used longest ago is forgotten first, and is full again when it comes back. */
const KEPT = 10_000;

/** `clock` in milliseconds; it MUST not go back. */
export function openBudgets({ budgets }: Limits, clock: () => number): Budgets {
  const buckets = new Map<string, Bucket>();

  function bucketOf(key: string, budget: Budget): Bucket {
    const now = clock();
    const { units, at } = buckets.get(key) ?? { units: budget.burst, at: now };
    const bucket = { units: Math.min(budget.burst, units + ((now - at) * budget.perMinute) / 60_000), at: now };
    buckets.delete(key);
    buckets.set(key, bucket);
    if (buckets.size > KEPT) for (const [oldest] of buckets.entries().take(1)) buckets.delete(oldest);
    return bucket;
  }

  /** From all of them or from none: what one refuses is not spent with the other. */
  function take(cost: number, of: readonly (readonly [key: string, whose: string, budget: Budget])[]): void {
    const found = of.map(([key, whose, budget]) => ({ bucket: bucketOf(key, budget), whose, budget }));
    for (const { bucket, whose, budget } of found) {
      if (bucket.units >= cost) continue;
      const retryAfter = Math.max(1, Math.ceil(((cost - bucket.units) / budget.perMinute) * 60));
      throw new Refused('BUDGET_EXCEEDED', `${whose}的查询额度已用完,请在 ${retryAfter} 秒后重试`, {
        status: 429,
        details: { retryAfter },
      });
    }
    for (const { bucket } of found) bucket.units -= cost;
  }

  const charge = ({ department, id }: Caller, cost: number): void => {
    const own = budgets.departments?.[department];
    take(cost, [
      [`department ${department}`, '本部门', own?.department ?? budgets.department],
      [`person ${department} ${id}`, '本人', own?.person ?? budgets.person],
    ]);
  };
  return {
    request: (caller) => charge(caller, budgets.request),
    rows: (caller, rows) => charge(caller, rows),
    stranger: (client) => take(budgets.request, [[`stranger ${client}`, '来自该地址的未认证请求', budgets.stranger]]),
  };
}
