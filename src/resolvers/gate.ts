import type { Caller } from '../access/caller.ts';
import { Refused } from '../errors.ts';
import type { Limits } from '../model/types.ts';

/**
 * How many queries run at once, and who is next: departments take turns, so that one that asks for everything waits for itself and not the others
 * for it. A process has one gate.
 */
export interface Gate {
  /**
   * Resolves when the query may run, with what MUST be called when it has ended. Throws `Refused` OVERLOADED (503) at once when too many wait, or
   * when its turn does not come in time.
   */
  enter(caller: Caller): Promise<() => void>;
}

interface Waiting {
  caller: Caller;
  start: () => void;
}

export function openGate({ capacity }: Limits): Gate {
  const running = new Map<string, number>();
  /** By department, in the order in which the departments take turns. */
  const queues = new Map<string, Waiting[]>();
  let [total, waiting] = [0, 0];

  const keysOf = ({ department, id }: Caller): [department: string, person: string] => [department, `${department} ${id}`];
  const count = (key: string, change: number): void => {
    const now = (running.get(key) ?? 0) + change;
    if (now === 0) running.delete(key);
    else running.set(key, now);
  };
  const hasRoom = (caller: Caller): boolean => {
    const [department, person] = keysOf(caller);
    return (
      total < capacity.running.max &&
      (running.get(department) ?? 0) < capacity.department.max &&
      (running.get(person) ?? 0) < capacity.person.max
    );
  };

  function run(caller: Caller): () => void {
    for (const key of keysOf(caller)) count(key, 1);
    total += 1;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      for (const key of keysOf(caller)) count(key, -1);
      total -= 1;
      admit();
    };
  }

  function leave(entry: Waiting): void {
    const queue = queues.get(entry.caller.department) ?? [];
    const at = queue.indexOf(entry);
    if (at === -1) return;
    queue.splice(at, 1);
    waiting -= 1;
    if (queue.length === 0) queues.delete(entry.caller.department);
  }

  /** Starts those who can run now. A department whose turn was used goes to the end of the line, where this loop finds it again. */
  function admit(): void {
    for (const [department, queue] of queues) {
      const next = queue.find(({ caller }) => hasRoom(caller));
      if (next === undefined) continue;
      leave(next);
      if (queues.delete(department)) queues.set(department, queue);
      next.start();
    }
  }

  const overloaded = (): Refused =>
    new Refused('OVERLOADED', '系统繁忙,请稍后重试', { status: 503, details: { retryAfter: Math.ceil(capacity.wait.max / 1000) } });

  return {
    enter(caller) {
      const queue = queues.get(caller.department) ?? [];
      if (queue.length === 0 && hasRoom(caller)) return Promise.resolve(run(caller));
      if (waiting >= capacity.waiting.max || queue.length >= capacity.departmentWaiting.max) return Promise.reject(overloaded());
      return new Promise((resolve, reject) => {
        const entry: Waiting = {
          caller,
          start: () => {
            clearTimeout(timer);
            resolve(run(caller));
          },
        };
        const timer = setTimeout(() => {
          leave(entry);
          reject(overloaded());
        }, capacity.wait.max);
        queue.push(entry);
        queues.set(caller.department, queue);
        waiting += 1;
        // Its department may wait for one person only, and this be another.
        admit();
      });
    },
  };
}
