// Schemas with @confluentinc/schemaregistry: its serializers and deserializers, which follow a subject to its last version.

import assert from 'node:assert/strict'
import { create, createFileRegistry, createMutableRegistry, fromBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import {
  AvroDeserializer, AvroSerializer, JsonDeserializer, JsonSerializer, ProtobufDeserializer, ProtobufSerializer,
  SchemaRegistryClient, SerdeType
} from '@confluentinc/schemaregistry'

import { refused, registryUrl, run } from './program.js'
import { SCHEMAS } from './schemas.js'

const { VALUE } = SerdeType
// Nothing is remembered between clients: each asks the registry.
const connect = () => new SchemaRegistryClient({ baseURLs: [registryUrl], maxRetries: 0 })

// A file of a subject as its descriptor, which is how this client speaks of Protobuf, with the files that it imports.
async function file (client, { schema, references = [] }, name) {
  const imported = new Map()
  for (const reference of references) {
    const found = await client.getSchemaMetadata(reference.subject, reference.version, true, 'serialized')
    imported.set(reference.name, await file(client, found, reference.name))
  }
  const proto = fromBinary(FileDescriptorProtoSchema, Buffer.from(schema, 'base64'))
  if (name) proto.name = name
  return createFileRegistry(proto, name => imported.get(name)).getFile(proto.name)
}

const FORMATS = {
  avro: {
    // An older record is read as the last version has it.
    reads: ({ value, asLast = value }) => asLast,
    deserializer: client => new AvroDeserializer(client, VALUE, { useLatestVersion: true }),
    serialize: (client, useSchemaId, { topic, value }) =>
      new AvroSerializer(client, VALUE, { useSchemaId }).serialize(topic, value)
  },
  json: {
    deserializer: client => new JsonDeserializer(client, VALUE, { validate: true }),
    async serialize (client, useSchemaId, { topic, value }) {
      const serializer = new JsonSerializer(client, VALUE, { useSchemaId, validate: true })
      await assert.rejects(serializer.serialize(topic, { more: 1 }), /[Ii]nvalid message/)
      return serializer.serialize(topic, value)
    }
  },
  protobuf: {
    deserializer: client => new ProtobufDeserializer(client, VALUE, {}),
    async serialize (client, id, { topic, value }) {
      const descriptor = await file(client, await client.getBySubjectAndId(`${topic}-value`, id, 'serialized'))
      const [message] = descriptor.messages
      const registry = createMutableRegistry(message)
      const settings = { registry, autoRegisterSchemas: true, normalizeSchemas: true }
      const serializer = new ProtobufSerializer(client, VALUE, settings)
      const bytes = await serializer.serialize(topic, create(message, value))
      assert.equal(bytes.readInt32BE(1), id, 'a descriptor is the same schema as its text')
      return bytes
    }
  }
}

const plain = value => JSON.parse(JSON.stringify(value, (key, value) => (key === '$typeName' ? undefined : value)))

await run(async name => {
  const [format, { money, user, order, refused: wrong }] = [FORMATS[name], SCHEMAS[name]]
  const [client, schemaType] = [connect(), name.toUpperCase()]
  // The name under which the Protobuf serializer keeps what a file imports.
  const base = name === 'protobuf' ? money.name : `confluent-${name}-money`
  await client.register(base, { schema: money.schema, schemaType }, true)
  const references = [{ name: money.name, subject: base, version: 1 }]
  const topics = [
    { name: `confluent-${name}-user`, steps: user, wrong: wrong.user, references: [] },
    { name: `confluent-${name}-order`, steps: order, wrong: wrong.order, references }
  ]
  const records = []
  for (const { name: topic, steps, wrong, references } of topics) {
    const subject = `${topic}-value`
    for (const { schema, value } of steps) {
      const info = { schema, schemaType, references }
      const id = await client.register(subject, info, true)
      assert.equal(await client.getId(subject, info, true), id)
      records.push({ topic, bytes: await format.serialize(client, id, { topic, value }) })
    }
    assert.deepEqual(await client.getAllVersions(subject), [1, 2])
    assert.deepEqual((await connect().getLatestSchemaMetadata(subject)).references ?? [], references)
    const unfit = { schema: wrong, schemaType, references: name === 'protobuf' ? [] : references }
    assert.equal(await client.testSubjectCompatibility(subject, unfit), false)
    await refused(409, error => error.errorCode, () => client.register(subject, unfit, false))
  }
  await refused(42206, error => error.errorCode, () => client.deleteSubject(base, false))
  const check = async read => {
    const deserializer = format.deserializer(connect())
    for (const { name, steps } of topics) {
      const values = []
      for (const bytes of read.get(name)) values.push(plain(await deserializer.deserialize(name, bytes)))
      assert.deepEqual(values, steps.map(format.reads ?? (({ value }) => value)))
    }
  }
  return { records, check }
})
