import { StopStream } from '../errors.ts';
import type { Connector, DatabaseVia, DropFolder, HttpPushVia, HttpVia, ManualVia, PushStream, ReadStream, Via } from '../model/types.ts';
import type { Doubtful, FileReceipt, OpenConnector, OpenOptions, Page, PullFrom, PushItem, PushResult } from './contract.ts';
import { openDatabase } from './database.ts';
import type { Database } from './database.ts';
import { pullExchange } from './exchange.ts';
import { pullFile } from './file.ts';
import { pullFolder } from './folder.ts';
import { openHttp } from './http.ts';
import { openSession } from './login.ts';
import type { Session } from './login.ts';
import { openNationalInsurance } from './national-insurance.ts';
import type { NationalInsurance } from './national-insurance.ts';
import { pullHttp } from './paging.ts';
import { collectDatabase, pushDatabase } from './push-database.ts';
import { collectBatches, openFolders, pushBatch } from './push-file.ts';
import { collectHttp, pushHttp } from './push-http.ts';
import { openReconcile } from './reconcile.ts';
import { fillText } from './template.ts';
import { pullWatermark } from './watermark.ts';

/**
 * One outside platform, ready to be read from and written to. Nothing is opened before it is needed; what was opened is shared by the
 * streams of the connector until `close`. `settings` come from `resolveSettings`.
 */
export function openConnector(connector: Connector, settings: Readonly<Record<string, string>>, options: OpenOptions): OpenConnector {
  const http = openHttp(options);
  const sessions = new Map<string, Session>();
  const databases = new Map<string, Database>();
  let national: NationalInsurance | undefined;

  function session(via: HttpVia | HttpPushVia): Session {
    const key = JSON.stringify([via.base, via.headers, via.auth, via.ok, via.error]);
    return cached(sessions, key, () => openSession(http, connector.zh, via, settings));
  }
  function database(url: string): Database {
    return cached(databases, url, () => openDatabase(fillText(url, settings), connector.zh, options));
  }

  function nationalInsurance(): NationalInsurance {
    return (national ??= openNationalInsurance(http, settings, options));
  }

  async function* pull(stream: ReadStream, from: PullFrom): AsyncGenerator<Page> {
    // A file must not get round the second person's approval.
    if (stream.via.kind === 'manual') throw new StopStream(`manual-entry: ${stream.zh} 由人工录入并经复核，不能批量导入`);
    yield* from.file === undefined ? pullVia(stream.via, from, stream.zh) : pullFile(from.file, from.cursor, options);
  }

  function pullVia(via: Exclude<Via, ManualVia>, from: PullFrom, name: string): AsyncIterable<Page> {
    switch (via.kind) {
      case 'http':
        return pullHttp(session(via), via, from.cursor, options);
      case 'national-insurance':
        return nationalInsurance().pull(via, from);
      case 'database':
        return pullDatabase(database(via.url), via, from);
      case 'file':
        if (via.drop) return pullFolder(via.drop, foldersOf(via.drop, settings), from.cursor, options);
        throw new StopStream(`file-required: ${connector.zh} ${name} 只能从文件读取，请用 --file 指定文件`);
    }
  }

  async function* push(stream: PushStream, items: PushItem[]): AsyncGenerator<PushResult> {
    const { via } = stream;
    switch (via.kind) {
      case 'http':
        return yield* pushHttp(session(via), via, stream.publish, items);
      case 'database':
        return yield* pushDatabase(database(via.url), via, items, options);
      case 'file':
        return yield* pushBatch(openFolders(via, settings), stream, items, options);
    }
  }

  async function* collect({ via, publish }: PushStream, items: readonly Doubtful[]): AsyncGenerator<PushResult> {
    if (via.kind === 'http') return yield* collectHttp(session(via), via, publish, items);
    if (via.kind === 'file') return yield* collectBatches(openFolders(via, settings), via, items, options);
    yield* collectDatabase(
      database(via.url),
      via,
      items.map((item) => item.key),
    );
  }

  async function upload(file: { name: string; content: Uint8Array }): Promise<FileReceipt> {
    if (connector.feedback === undefined) throw new StopStream(`no-feedback: ${connector.zh} 不接收文件`);
    return nationalInsurance().upload(connector.feedback.infno, file);
  }

  async function close(): Promise<void> {
    http.close();
    await Promise.all([options.gate?.close(), ...[...databases.values()].map((one) => one.close())]);
  }

  return { pull, push, collect, upload, reconcile: (stream) => openReconcile(stream, { session, database, pull }, options), close };
}

function foldersOf({ folder, feedback }: DropFolder, settings: Readonly<Record<string, string>>): { folder: string; feedback: string } {
  return { folder: fillText(folder, settings), feedback: feedback ? fillText(feedback.folder, settings) : '' };
}

function pullDatabase(database: Database, via: DatabaseVia, from: PullFrom): AsyncIterable<Page> {
  if (via.watermark) return pullWatermark(database, via, via.watermark, from.cursor);
  if (via.exchange) return pullExchange(database, via, via.exchange);
  throw new StopStream(`bad-stream: ${via.table} 没有说明按时间戳还是按交换标志读取`);
}

function cached<T>(known: Map<string, T>, key: string, make: () => T): T {
  const found = known.get(key) ?? make();
  known.set(key, found);
  return found;
}
