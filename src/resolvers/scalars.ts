import { GraphQLError, GraphQLScalarType, Kind } from 'graphql';

const DAY = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/;

function isDay(value: unknown): value is string {
  // PostgreSQL has no year 0.
  return typeof value === 'string' && DAY.test(value) && value >= '0001' && new Date(`${value}T00:00:00Z`).toISOString().startsWith(value);
}

/** A calendar day `YYYY-MM-DD`, without time and zone. */
export const Day = new GraphQLScalarType<string, string>({
  name: 'Day',
  description: '日期,YYYY-MM-DD (calendar day)',
  serialize: (value) => String(value),
  parseValue: (value) => {
    if (!isDay(value)) throw new GraphQLError('Day must be a calendar day YYYY-MM-DD');
    return value;
  },
  parseLiteral: (node) => {
    if (node.kind !== Kind.STRING || !isDay(node.value)) throw new GraphQLError('Day must be a calendar day YYYY-MM-DD');
    return node.value;
  },
});

/** An instant, ISO 8601 in UTC. */
export const Instant = new GraphQLScalarType<string, string>({
  name: 'Instant',
  description: '时刻,ISO 8601,UTC (instant in UTC)',
  serialize: (value) => String(value),
});

/** Money in fen. GraphQL's Int ends at 21 million yuan. */
export const Fen = new GraphQLScalarType<number, number>({
  name: 'Fen',
  description: '金额,整数,单位为分 (integer fen)',
  serialize: (value) => Number(value),
  parseValue: (value) => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw new GraphQLError('Fen must be an integer number of fen');
    return value;
  },
  parseLiteral: (node) => {
    const value = node.kind === Kind.INT ? Number(node.value) : Number.NaN;
    if (!Number.isSafeInteger(value)) throw new GraphQLError('Fen must be an integer number of fen');
    return value;
  },
});

/** A decimal number as text, exactly as the source states it. */
export const Decimal = new GraphQLScalarType<string, string>({
  name: 'Decimal',
  description: '十进制数,按来源原样,文本 (decimal text)',
  serialize: (value) => String(value),
});
