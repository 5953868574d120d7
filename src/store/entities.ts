import { defineEntity, p } from '@mikro-orm/core';

/**
 * The workflow tables as MikroORM entities: for lists, work queues and administration. The hot paths (pages coming in, queries going out,
 * the log) use SQL of their own; a test holds these definitions and the migrations together.
 */
export const RunEntity = defineEntity({
  name: 'Run',
  tableName: 'run',
  properties: {
    id: p.bigint('number').primary(),
    connector: p.text(),
    stream: p.text(),
    direction: p.text().$type<'pull' | 'push'>(),
    state: p.text().$type<'running' | 'done' | 'failed' | 'broken' | 'stopped' | 'interrupted' | 'deferred'>(),
    trigger: p.text(),
    askedBy: p.text().nullable(),
    officerId: p.text(),
    officerName: p.text(),
    startedAt: p.datetime(),
    endedAt: p.datetime().nullable(),
    pages: p.integer(),
    taken: p.bigint('number'),
    stored: p.bigint('number'),
    unchanged: p.bigint('number'),
    issues: p.bigint('number'),
    pushed: p.bigint('number'),
    receipts: p.bigint('number'),
    error: p.text().nullable(),
  },
});

export const IssueEntity = defineEntity({
  name: 'Issue',
  tableName: 'issue',
  properties: {
    id: p.bigint('number').primary(),
    connector: p.text(),
    stream: p.text(),
    fingerprint: p.blob(),
    rule: p.text(),
    at: p.text(),
    place: p.text(),
    reason: p.text(),
    refused: p.boolean(),
    raw: p.text().nullable(),
    tokens: p.array<Buffer>().columnType('bytea[]'),
    state: p.text().$type<'open' | 'fixed' | 'dismissed'>(),
    seen: p.integer(),
    firstRun: p.bigint('number'),
    lastRun: p.bigint('number'),
    resolution: p.text().nullable(),
    handledBy: p.text().nullable(),
    feedbackId: p.bigint('number').nullable(),
    createdAt: p.datetime(),
    changedAt: p.datetime(),
  },
});

export const StreamStateEntity = defineEntity({
  name: 'StreamState',
  tableName: 'stream_state',
  properties: {
    connector: p.text().primary(),
    stream: p.text().primary(),
    fence: p.bigint('number'),
    cursor: p.json<unknown>().nullable(),
    cursorAt: p.datetime().nullable(),
    paused: p.boolean(),
    pausedBy: p.text().nullable(),
    pausedName: p.text().nullable(),
    pausedAt: p.datetime().nullable(),
    pauseReason: p.text().nullable(),
    deferredUntil: p.datetime().nullable(),
    deferredWhy: p.text().nullable(),
    askedAt: p.datetime().nullable(),
    askedBy: p.text().nullable(),
    askedName: p.text().nullable(),
    askReason: p.text().nullable(),
    backfillFrom: p.date().nullable(),
  },
});

export const ENTITIES = [RunEntity, IssueEntity, StreamStateEntity];
