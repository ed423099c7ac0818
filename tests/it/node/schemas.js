// The schemas that both Node programs go round with: two topics for each format, the second with a schema that refers to
// another one. A step is registered, one record of it is written and read; what does not follow is refused. `asLast` is an
// older record to a reader that has the last schema.

const record = (name, ...fields) => JSON.stringify({ type: 'record', name, fields })
const object = properties => JSON.stringify({
  $schema: 'http://json-schema.org/draft-07/schema#', type: 'object', properties, additionalProperties: false
})
const MONEY = 'http://thalweg.test/money.json'
const proto = (...lines) => ['syntax = "proto3";', 'package shop;', ...lines, ''].join('\n')

export const SCHEMAS = {
  avro: {
    money: { name: 'Money', schema: record('Money', { name: 'cents', type: 'long' }) },
    user: [
      {
        schema: record('User', { name: 'id', type: 'int' }),
        value: { id: 1 },
        asLast: { id: 1, name: 'nobody' }
      },
      {
        schema: record('User', { name: 'id', type: 'long' }, { name: 'name', type: 'string', default: 'nobody' }),
        value: { id: 2, name: 'x' }
      }
    ],
    order: [
      {
        schema: record('Order', { name: 'total', type: 'Money' }),
        value: { total: { cents: 5 } },
        asLast: { total: { cents: 5 }, note: '' }
      },
      {
        schema: record('Order', { name: 'total', type: 'Money' }, { name: 'note', type: 'string', default: '' }),
        value: { total: { cents: 7 }, note: 'y' }
      }
    ],
    refused: {
      user: record('User', { name: 'id', type: 'string' }),
      order: record('Order', { name: 'total', type: 'string' })
    }
  },
  json: {
    money: { name: MONEY, schema: JSON.stringify({ $id: MONEY, ...JSON.parse(object({ cents: { type: 'integer' } })) }) },
    user: [
      { schema: object({ id: { type: 'integer' } }), value: { id: 1 } },
      { schema: object({ id: { type: 'integer' }, name: { type: 'string' } }), value: { id: 2, name: 'x' } }
    ],
    order: [
      { schema: object({ total: { $ref: MONEY } }), value: { total: { cents: 5 } } },
      {
        schema: object({ total: { $ref: MONEY }, note: { type: 'string' } }),
        value: { total: { cents: 7 }, note: 'y' }
      }
    ],
    refused: { user: object({ id: { type: 'string' } }), order: object({ total: { type: 'string' } }) }
  },
  protobuf: {
    money: { name: 'money.proto', schema: proto('message Money {', '  int32 cents = 1;', '}') },
    user: [
      { schema: proto('message User {', '  int32 id = 1;', '}'), value: { id: 1 } },
      { schema: proto('message User {', '  int32 id = 1;', '  string name = 2;', '}'), value: { id: 2, name: 'x' } }
    ],
    order: [
      {
        schema: proto('import "money.proto";', 'message Order {', '  Money total = 1;', '}'),
        value: { total: { cents: 5 } }
      },
      {
        schema: proto('import "money.proto";', 'message Order {', '  Money total = 1;', '  string note = 2;', '}'),
        value: { total: { cents: 7 }, note: 'y' }
      }
    ],
    refused: {
      user: proto('message User {', '  string id = 1;', '}'),
      order: proto('message Order {', '  string total = 1;', '}')
    }
  }
}
