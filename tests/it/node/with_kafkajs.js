// Schemas with @kafkajs/confluent-schema-registry: registered as texts, looked up by id when records are read.

import assert from 'node:assert/strict'
import { SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'

import { refused, registryUrl, run } from './program.js'
import { SCHEMAS } from './schemas.js'

const registry = () => new SchemaRegistry({ host: registryUrl, retry: { retries: 0 } })

await run(async format => {
  const { money, user, order, refused: wrong } = SCHEMAS[format]
  const [writer, type] = [registry(), SchemaType[format.toUpperCase()]]
  const base = `kafkajs-${format}-money`
  await writer.register({ type, schema: money.schema }, { subject: base })
  const references = [{ name: money.name, subject: base, version: 1 }]
  const topics = [
    { name: `kafkajs-${format}-user`, steps: user, wrong: wrong.user },
    { name: `kafkajs-${format}-order`, steps: order, wrong: wrong.order, references }
  ]
  const records = []
  for (const { name: topic, steps, wrong, references } of topics) {
    const subject = `${topic}-value`
    const ids = []
    for (const { schema, value } of steps) {
      const { id } = await writer.register({ type, schema, references }, { subject })
      ids.push(id)
      records.push({ topic, bytes: await writer.encode(id, value) })
    }
    assert.equal(await writer.getLatestSchemaId(subject), ids[1])
    assert.deepEqual([await writer.getRegistryId(subject, 1), await writer.getRegistryId(subject, 2)], ids)
    // Without references, for this client's look-up sends none.
    if (!references) assert.equal(await writer.getRegistryIdBySchema(subject, { type, schema: steps[0].schema }), ids[0])
    await refused(409, error => error.status, () => writer.register({ type, schema: wrong }, { subject }))
  }
  const check = async read => {
    const reader = registry()
    for (const { name, steps } of topics) {
      const values = await Promise.all(read.get(name).map(bytes => reader.decode(bytes)))
      assert.deepEqual(values.map(value => JSON.parse(JSON.stringify(value))), steps.map(({ value }) => value))
    }
    if (format === 'avro') {
      const readerSchema = JSON.parse(user[1].schema)
      const value = await reader.decode(read.get(topics[0].name)[0], { [SchemaType.AVRO]: { readerSchema } })
      assert.deepEqual({ ...value }, user[0].asLast)
    }
  }
  return { records, check }
})
