/** What is generated is checked in and compared (style 12). */
import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { buildSchema, isObjectType } from 'graphql';
import { loadModel } from '../src/model/load.ts';
import { buildGraph, printGraph } from '../src/resolvers/schema.ts';

const SCHEMA = new URL('../schema/', import.meta.url).pathname;
const model = loadModel(SCHEMA);
const sdl = printGraph(buildGraph(model));

describe('the graph', () => {
  it('HN-14 is in schema/hub.graphql as the model makes it (npm run generate)', () => {
    expect(readFileSync(`${SCHEMA}hub.graphql`, 'utf8')).toBe(sdl);
  });

  it('HN-14 holds every field of the catalog, nullable, so that a denial never takes its neighbours with it', () => {
    const schema = buildSchema(sdl);
    for (const type of [...model.subjects.values(), ...model.categories.values()]) {
      const object = schema.getType(type.type);
      if (!isObjectType(object)) throw new Error(`${type.type} is no object type`);
      const fields = object.getFields();
      expect([...type.fields.keys()].filter((name) => fields[name] === undefined || String(fields[name].type).endsWith('!'))).toEqual([]);
    }
  });

  it('HN-22 tells of changes as batches with where they end, and of nothing else: three subscriptions of one form', () => {
    const fields = Object.values(buildSchema(sdl).getSubscriptionType()?.getFields() ?? {});
    expect(fields.map(({ name, type }) => `${name}: ${String(type)}`)).toEqual(
      ['gradeChanged', 'listChanged', 'recordChanged'].map((name) => `${name}: RecordChanges!`),
    );
  });

  it('is one per process: asked again it is the same, and another model is refused', () => {
    expect(buildGraph(model)).toBe(buildGraph(model));
    expect(() => buildGraph(loadModel(SCHEMA))).toThrow('another model');
  });
});
