import { pageOf } from './credit-china.ts';
import type { FaultKind, Faults, Holdings } from './faults.ts';
import { toGb18030 } from './gb18030.ts';
import type { Row } from './population.ts';
import { type Answer, type Call, type ServerOptions, answered, objectOf } from './server.ts';
import { shanghai } from './times.ts';

const LOGIN_PAGE = '<!DOCTYPE html><html><head><title>统一身份认证</title></head><body><form method="post">请登录</form></body></html>';
/** What a new version of a row changes, and what a new release of a platform renames. */
const NOTES = ['CF_SJLY', 'XK_LYDW'];
const RENAMED: Record<string, string> = {
  CF_WSH: 'CF_JDWSH',
  XK_WSH: 'XK_JDWSH',
  fixmedins_name: 'medins_name',
  prac_psn_name: 'psn_name',
};

interface Occasion {
  /** A transaction of the national platform, not a service of the credit platform. */
  national: boolean;
  /** Something that the platform was sent. */
  push: boolean;
  /** 9001, or the call for a token. */
  login: boolean;
}

const WIRE: readonly [FaultKind, (occasion: Occasion, proper: Answer) => Answer | undefined][] = [
  ['http-500', () => answered({ message: 'Internal Server Error' }, 500)],
  ['hang', (_, proper) => ({ ...proper, wire: 'hang' })],
  ['reset', (_, proper) => ({ ...proper, wire: 'reset' })],
  ['cut-body', (_, proper) => ({ ...proper, wire: 'cut' })],
  ['html-login', () => ({ status: 200, body: null, bytes: Buffer.from(LOGIN_PAGE), type: 'text/html; charset=utf-8' })],
  ['mislabelled-gb18030', (_, proper) => ({ ...proper, bytes: toGb18030(JSON.stringify(proper.body)) })],
  ['error-in-200', ({ national }) => answered(national ? refusal('系统繁忙，请稍后再试') : { status: 50_000, message: '系统繁忙' })],
  ['wrong-signature', ({ national }) => (national ? answered({ code: 401, msg: '签名校验失败' }, 401) : undefined)],
  [
    'expired-token',
    ({ national, login, push }) => {
      // Before the token is good nothing is done: what had its effect is never answered so.
      if (login || push) return undefined;
      return national ? answered(refusal('签到已失效，请重新签到')) : answered({ status: 40_101, message: '令牌无效或已过期' }, 401);
    },
  ],
];

/**
 * The faults of the HTTP platforms, for the `answer` of their servers. The call has had its effect before an answer is spoilt, so a push whose
 * answer is lost was taken. `holdings` MUST be the data the servers read: it is the truth that the hub has to reach in the end.
 */
export function faultyAnswers(faults: Faults, holdings: Holdings, now: () => Date): NonNullable<ServerOptions['answer']> {
  const before = new Map<Row[], Row[]>();
  const hidden = new Set<Row>();

  /** The stream is known by its rows, which the platform gives as they are: whichever platform answers in pages, under whatever name. */
  function page(call: Call, proper: Answer): Answer {
    const body = objectOf(call.body);
    const asked = objectOf(objectOf(proper.body)['data'])['list'];
    const [first] = Array.isArray(asked) ? (asked as Row[]) : [];
    const rows = first && [...holdings.streams.values()].find((list) => list.includes(first));
    if (rows === undefined) return proper;
    if (faults.roll('silent-drop')) hidden.add(faults.random('silent-drop').pick(asked as Row[]));
    const inside = rows.filter((row) => !hidden.has(row) && String(body['beginTime']) < String(row['SJC']));
    const gone = body['page'] !== 1 && faults.roll('moved-cursor') ? faults.random('moved-cursor').int(1, Number(body['pageSize'])) : 0;
    const given = pageOf(inside.slice(gone), body);
    if (typeof given === 'string') return proper;
    const earlier = before.get(rows) ?? [];
    before.set(rows, given.list);
    const list = shuffled(given.list, given.page > 1 ? earlier : []);
    if (given.total > given.page * given.pageSize && faults.roll('changed-while-paging')) change(rows, given.list);
    return answered({ status: 1, message: '成功', data: { ...given, list } });
  }

  function shuffled(list: Row[], earlier: Row[]): Row[] {
    if (list.length === 0) return list;
    if (earlier.length > 0 && faults.roll('repeated-page')) return earlier;
    let rows = list;
    if (earlier.length > 0 && faults.roll('overlapping-page'))
      rows = [...earlier.slice(-faults.random('overlapping-page').int(1, earlier.length)), ...rows];
    if (rows.length > 1 && faults.roll('reversed-page')) rows = rows.toReversed();
    return drifted(rows);
  }

  function drifted(list: Row[]): Row[] {
    const renamed = list.length > 0 && faults.roll('renamed-key');
    return list.map((row) => {
      const changed = renamed ? Object.fromEntries(Object.entries(row).map(([key, value]) => [RENAMED[key] ?? key, value])) : row;
      return faults.roll('new-key') ? { ...changed, NEW_FIELD: '新增字段' } : changed;
    });
  }

  /** One of the rows just given gets a version of this moment and goes to the end of the list. */
  function change(rows: Row[], list: Row[]): void {
    const at = rows.indexOf(faults.random('changed-while-paging').pick(list));
    const [row] = at < 0 ? [] : rows.splice(at, 1);
    if (row === undefined) return;
    const note = NOTES.find((column) => column in row);
    const said = `演示来源单位（第${faults.injected['changed-while-paging']}次更正）`;
    rows.push({ ...row, ...(note && { [note]: said }), SJC: shanghai(faults.clock(now())) });
    rows.sort((a, b) => (`${a['SJC']} ${a['ID']}` < `${b['SJC']} ${b['ID']}` ? -1 : 1));
  }

  /** The lists of the national platform come whole. */
  function lists(answer: Answer): Answer {
    const body = objectOf(answer.body);
    const output = Object.entries(objectOf(body['output'])).map(([node, list]) => {
      if (!Array.isArray(list) || list.length === 0) return [node, list];
      let rows = list as Row[];
      if (faults.roll('silent-drop')) hidden.add(faults.random('silent-drop').pick(rows));
      rows = rows.filter((row) => !hidden.has(row));
      if (rows.length > 1 && faults.roll('reversed-page')) rows = rows.toReversed();
      return [node, drifted(rows)];
    });
    return output.length === 0 ? answer : { ...answer, body: { ...body, output: Object.fromEntries(output) as unknown } };
  }

  return async (call, proper) => {
    if (call.path.startsWith('/sandbox/')) return proper;
    const national = /^\/\d{4}$/.test(call.path);
    const push = /\/(submit|recall|drafts|confirm|prompts|grades|results)\b/.test(call.path);
    const occasion = { national, push, login: call.path === '/9001' || call.path === '/service/login' };
    const served = occasion.login || proper.status !== 200 ? proper : national ? lists(proper) : page(call, proper);
    for (const [kind, make] of WIRE) {
      const spoilt = make(occasion, served);
      if (spoilt !== undefined && faults.roll(kind)) return spoilt;
    }
    return served;
  };
}

function refusal(message: string): unknown {
  return { infcode: -1, inf_refmsgid: '', refmsg_time: '', respond_time: '', err_msg: message, output: null };
}
