import { randomBytes } from 'node:crypto';
import { directoriesOf, startExchangeService } from './credit-china.ts';
import type { SandboxData } from './generate.ts';
import type { ServerOptions } from './server.ts';

/** Prefix of the connector's variables → directory → stream. Each platform is a server of its own with a secret of its own. */
const PLATFORMS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  HUNAN_CREDIT_SERVICE: {
    yljgzyxk: 'hunan-credit-service/health-licences',
    wjcf: 'hunan-credit-service/health-penalties',
    swaj: 'hunan-credit-service/tax-grade-a',
    swfzch: 'hunan-credit-service/tax-abnormal',
    swzdwf: 'hunan-credit-service/tax-serious-violations',
  },
  ZHENGZHOU_CREDIT: { xybg: 'zhengzhou-credit/credit-reports' },
  CREDIT_AGENCIES: { xybg: 'credit-agencies/credit-reports' },
  HENAN_SUPERVISION: { xydj: 'henan-supervision/wugang-grades' },
  SHANDONG_CREDIT: { clxx: 'shandong-credit/handlings', mtyq: 'shandong-credit/leads' },
  SHENZHEN_CREDIT: {
    jbxx: 'shenzhen-credit/basic',
    lypj: 'shenzhen-credit/performance',
    blxx: 'shenzhen-credit/adverse-handlings',
    blcf: 'shenzhen-credit/adverse-penalties',
    cnxx: 'shenzhen-credit/commitments',
    pjxx: 'shenzhen-credit/evaluations',
  },
};

/** Starts every platform that only answers queries, each on a free port. `env` is what its connector reads. */
export async function startExchangeServices(
  data: SandboxData,
  options: ServerOptions,
): Promise<{ env: Record<string, string>; stop(): Promise<void> }> {
  const started = await Promise.all(
    Object.entries(PLATFORMS).map(async ([prefix, directories]) => {
      const account = { appId: 'hub-sandbox', secret: randomBytes(24).toString('base64url') };
      const server = await startExchangeService(directoriesOf(data, directories), account, options);
      const env = { [`${prefix}_URL`]: server.url, [`${prefix}_APP_ID`]: account.appId, [`${prefix}_SECRET`]: account.secret };
      return { server, env };
    }),
  );
  return {
    env: Object.assign({}, ...started.map((one) => one.env)) as Record<string, string>,
    async stop() {
      await Promise.all(started.map(({ server }) => server.stop()));
    },
  };
}
