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

  it('HN-23.2 has no subscription: what leaves later would leave without its entry in the log', () => {
    expect(sdl).not.toMatch(/^type Subscription\b/m);
  });

  it('is one per process: asked again it is the same, and another model is refused', () => {
    expect(buildGraph(model)).toBe(buildGraph(model));
    expect(() => buildGraph(loadModel(SCHEMA))).toThrow('another model');
  });
});
