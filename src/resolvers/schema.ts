import 'reflect-metadata';
import { type GraphQLSchema, lexicographicSortSchema, printSchema } from 'graphql';
import { buildSchemaSync, type ClassType } from 'type-graphql';
import type { Model } from '../model/types.ts';
import { buildCaseResolvers } from './cases.ts';
import { buildConsentResolvers } from './consents.ts';
import { buildDeadLetterResolvers } from './dead-letters.ts';
import { buildDictionaryResolvers } from './dictionary.ts';
import { buildErasureResolvers } from './erasure.ts';
import { buildRecordWhere } from './inputs.ts';
import { buildPolicyResolvers } from './policy.ts';
import { buildEventResolvers, NO_PUBSUB } from './events.ts';
import { buildLogResolvers } from './log.ts';
import { buildLookedResolvers } from './looked.ts';
import { buildPlatformResolvers } from './platforms.ts';
import { buildQualityResolvers } from './quality.ts';
import { buildReconciliationResolvers } from './reconciliation.ts';
import { buildObjectionResolvers } from './objections.ts';
import { buildRecallResolvers } from './recalls.ts';
import { buildResolvers } from './query.ts';
import { Day, Decimal, Fen, Instant } from './scalars.ts';
import { buildSessionResolvers } from './sessions.ts';
import { buildStatisticsResolvers } from './statistics.ts';
import { buildTypes } from './types.ts';
import { buildWebhookResolvers } from './webhooks.ts';
import { buildWorkResolvers } from './work.ts';

const built = new Map<Model, GraphQLSchema>();

/** The graph of a model. type-graphql keeps its metadata per process, so a process has one model; asking again for it gives the same schema. */
export function buildGraph(model: Model): GraphQLSchema {
  const known = built.get(model);
  if (known) return known;
  if (built.size > 0) throw new Error('the graph of this process is already built from another model');
  const types = buildTypes(model);
  const schema = buildSchemaSync({
    resolvers: [
      ...buildResolvers(model, types, buildRecordWhere(model, types)),
      ...buildWorkResolvers(model, types),
      ...buildErasureResolvers(model),
      ...buildObjectionResolvers(model),
      ...buildRecallResolvers(model),
      ...buildQualityResolvers(model),
      ...buildReconciliationResolvers(model),
      ...buildPolicyResolvers(model),
      ...buildSessionResolvers(model),
      ...buildPlatformResolvers(model),
      ...buildDeadLetterResolvers(model),
      ...buildConsentResolvers(model),
      ...buildCaseResolvers(model),
      ...buildStatisticsResolvers(model, types),
      ...buildDictionaryResolvers(),
      ...buildLogResolvers(model),
      ...buildLookedResolvers(model),
      ...buildEventResolvers(model, types),
      ...buildWebhookResolvers(model),
    ] as [ClassType, ...ClassType[]],
    orphanedTypes: [...types.subjects, ...types.records],
    scalarsMap: [Day, Instant, Fen, Decimal].map((scalar) => ({ type: scalar, scalar })) as never,
    validate: false,
    pubSub: NO_PUBSUB,
  });
  built.set(model, schema);
  return schema;
}

/** The graph as SDL, sorted: `schema/hub.graphql` is this text, checked in and compared. */
export function printGraph(schema: GraphQLSchema): string {
  return `${printSchema(lexicographicSortSchema(schema))}\n`;
}
