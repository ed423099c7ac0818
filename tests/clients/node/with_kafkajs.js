// kafkajs as a producer and a consumer.

import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { lz4Compress, lz4Decompress } from '@platformatic/wasm-utils'
import kafkajs from 'kafkajs'
import snappy from 'kafkajs-snappy'

import { HEARTBEAT } from './group.js'
import { deadline, printRecord, run } from './program.js'

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs

// Only gzip is built in; kafkajs-snappy is the one that its guide names. Its LZ4 and ZSTD ones need a compiler.
CompressionCodecs[CompressionTypes.Snappy] = snappy
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async encoder => lz4Compress(encoder.buffer),
  decompress: async buffer => lz4Decompress(buffer)
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => zstdCompressSync(encoder.buffer),
  decompress: async buffer => zstdDecompressSync(buffer)
})

const COMPRESSION = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD
}

const kafka = new Kafka({ clientId: 'kafkajs', brokers: [process.argv[2]], logLevel: logLevel.ERROR })

async function create (topic, numPartitions, size) {
  const configEntries = size ? [{ name: 'max.message.bytes', value: String(size) }] : []
  const admin = kafka.admin()
  await admin.connect()
  try {
    await admin.createTopics({ topics: [{ topic, numPartitions, configEntries }] })
  } finally {
    await admin.disconnect()
  }
}

function message ({ partition, timestamp, key, value, headers }) {
  const named = {}
  for (const [name, content] of headers) {
    named[name] = name in named ? [named[name], content].flat() : content
  }
  return { partition, timestamp, key, value, headers: named }
}

async function produce (topic, codec, records) {
  const producer = kafka.producer({ idempotent: true })
  await producer.connect()
  try {
    await producer.send({ topic, compression: COMPRESSION[codec], messages: records.map(message) })
  } finally {
    await producer.disconnect()
  }
}

function pairs (headers) {
  return Object.entries(headers ?? {}).flatMap(([name, content]) =>
    Array.isArray(content) ? content.map(one => [name, one]) : [[name, content]])
}

async function endOffsets (topics) {
  const admin = kafka.admin()
  await admin.connect()
  const left = new Map()
  for (const topic of topics) {
    for (const { partition, high, low } of await admin.fetchTopicOffsets(topic)) {
      if (BigInt(high) > BigInt(low)) left.set(`${topic}/${partition}`, BigInt(high))
    }
  }
  await admin.disconnect()
  return left
}

async function consume (topics) {
  const left = await endOffsets(topics)
  const consumer = kafka.consumer({ groupId: `reader-${process.pid}-${Date.now()}` })
  await consumer.connect()
  try {
    await consumer.subscribe({ topics, fromBeginning: true })
    const read = new Promise((resolve, reject) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
      const eachMessage = async ({ topic, partition, message }) => {
        printRecord({ ...message, topic, partition, headers: pairs(message.headers) })
        const place = `${topic}/${partition}`
        if (BigInt(message.offset) + 1n >= (left.get(place) ?? 0n)) left.delete(place)
        if (left.size === 0) resolve()
      }
      consumer.run({ eachMessage }).catch(reject)
    })
    await deadline(read, 60_000, 'reading')
  } finally {
    await consumer.disconnect()
  }
}

// Its one assigner is `RoundRobinAssigner`; it knows no static members.
async function join ({ group, commit, topics, session }, each) {
  const consumer = kafka.consumer({
    groupId: group,
    sessionTimeout: session,
    rebalanceTimeout: 10_000,
    heartbeatInterval: HEARTBEAT,
    metadataMaxAge: 500,
    maxWaitTimeInMs: 300,
    retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 100 }
  })
  await consumer.connect()
  await consumer.subscribe({ topics, fromBeginning: true })
  const eachMessage = async ({ topic, partition, message }) => {
    each({ ...message, topic, partition, headers: pairs(message.headers) })
  }
  const ways = {
    auto: { eachMessage, autoCommitInterval: HEARTBEAT },
    threshold: { eachMessage, autoCommitThreshold: 10 },
    sync: {
      autoCommit: false,
      eachBatch: async ({ batch, isStale, isRunning }) => {
        const { topic, partition } = batch
        if (isStale() || !isRunning()) return
        for (const message of batch.messages) await eachMessage({ topic, partition, message })
        await consumer.commitOffsets([{ topic, partition, offset: String(BigInt(batch.lastOffset()) + 1n) }])
      }
    }
  }
  let assigned = false
  consumer.on(consumer.events.GROUP_JOIN, () => { assigned = true })
  await consumer.run(ways[commit])
  return { leave: () => consumer.disconnect(), isAssigned: () => assigned }
}

run({ create, produce, consume, join })
