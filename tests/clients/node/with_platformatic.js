// @platformatic/kafka as a producer and a consumer.

import { Admin, Consumer, Producer } from '@platformatic/kafka'

import { HEARTBEAT } from './group.js'
import { deadline, printRecord, run } from './program.js'

const base = { clientId: 'platformatic', bootstrapBrokers: [process.argv[2]] }

async function create (topic, partitions, size) {
  const configs = size ? [{ name: 'max.message.bytes', value: String(size) }] : []
  const admin = new Admin(base)
  try {
    await admin.createTopics({ topics: [topic], partitions, replicas: 1, configs })
  } finally {
    await admin.close()
  }
}

async function produce (topic, compression, records) {
  const producer = new Producer({ ...base, idempotent: true })
  const messages = records.map(({ partition, timestamp, key, value, headers }) => ({
    topic,
    partition,
    timestamp: BigInt(timestamp),
    key,
    value,
    headers: new Map(headers.map(([name, content]) => [Buffer.from(name), content]))
  }))
  try {
    await producer.send({ messages, compression })
  } finally {
    await producer.close()
  }
}

// Both ends of every partition, by the place that is still to be read: its topic id, the next offset and the end.
async function places (consumer, topics) {
  const metadata = await consumer.metadata({ topics })
  const starts = await consumer.listOffsets({ topics, timestamp: -2n })
  const ends = await consumer.listOffsets({ topics, timestamp: -1n })
  const left = []
  for (const topic of topics) {
    const { id, partitions } = metadata.topics.get(topic)
    for (const [partition, { leader }] of Object.entries(partitions)) {
      const place = { topic, id, partition: Number(partition), leader }
      place.next = starts.get(topic)[place.partition]
      place.end = ends.get(topic)[place.partition]
      if (place.end > place.next) left.push(place)
    }
  }
  return left
}

function printBatch (place, batch) {
  for (const record of batch.records) {
    const offset = batch.firstOffset + BigInt(record.offsetDelta)
    if (offset < place.next) continue
    printRecord({
      topic: place.topic,
      partition: place.partition,
      offset,
      timestamp: batch.firstTimestamp + record.timestampDelta,
      key: record.key,
      value: record.value,
      headers: record.headers.map(([name, content]) => [name.toString(), content])
    })
    place.next = offset + 1n
  }
}

// Its stream of messages always joins a group, so partitions are read by its fetch call.
async function consume (topics) {
  const consumer = new Consumer({ ...base, groupId: 'unused' })
  try {
    let left = await places(consumer, topics)
    while (left.length > 0) {
      const byTopic = Map.groupBy(left, place => place.id)
      const response = await deadline(consumer.fetch({
        node: left[0].leader,
        topics: Array.from(byTopic, ([topicId, its]) => ({
          topicId,
          partitions: its.map(place => ({
            partition: place.partition,
            currentLeaderEpoch: -1,
            fetchOffset: place.next,
            lastFetchedEpoch: -1,
            partitionMaxBytes: 1_048_576
          }))
        }))
      }), 30_000, 'fetching')
      for (const { topicId, partitions } of response.responses) {
        for (const { partitionIndex, records } of partitions) {
          const place = byTopic.get(topicId)?.find(one => one.partition === partitionIndex)
          for (const batch of records ?? []) printBatch(place, batch)
        }
      }
      left = left.filter(place => place.next < place.end)
    }
  } finally {
    await consumer.close()
  }
}

async function join ({ group, assignor, instance, commit, topics, session }, each) {
  const [, remote] = assignor.split('consumer:')
  const way = remote
    ? { groupProtocol: 'consumer', groupRemoteAssignor: remote }
    : { protocols: [{ name: assignor, version: 1 }], sessionTimeout: session, heartbeatInterval: HEARTBEAT }
  let consumer
  let stream
  let leaving = false
  const start = async () => {
    consumer = new Consumer({
      ...base,
      ...way,
      groupId: group,
      groupInstanceId: instance,
      rebalanceTimeout: 60_000,
      maxWaitTime: 300,
      retries: 100,
      retryDelay: 100,
      metadataMaxAge: 500
    })
    // A join that an error of the connection ended: told here alone, and not tried again.
    consumer.on('error', error => {
      console.error(error)
      if (!leaving) stream?.destroy(error)
    })
    stream = await consumer.consume({
      topics,
      mode: 'committed',
      fallbackMode: 'earliest',
      autocommit: { auto: HEARTBEAT, each: true, sync: false }[commit]
    })
  }
  await start()
  const readOn = async () => {
    while (true) {
      try {
        return await read(stream, commit === 'sync', each)
      } catch (error) {
        console.error(error)
        // What was under way when it was told to leave ends by an error.
        if (leaving) return
        if (error.code !== 'PLT_KFK_NETWORK') throw error
        await consumer.close(true).catch(console.error)
        await start()
      }
    }
  }
  const reading = readOn()
  // It is thrown to who makes it leave.
  reading.catch(() => {})
  const leave = async () => {
    leaving = true
    await stream.close()
    await reading
    await consumer.close(true)
  }
  return { leave, isAssigned: () => consumer.assignments?.length > 0 }
}

async function read (stream, commits, each) {
  const last = new Map()
  for await (const message of stream) {
    const { topic, partition, offset, timestamp, key, value, headers } = message
    const named = Array.from(headers, ([name, content]) => [name.toString(), content])
    each({ topic, partition, offset, timestamp, key, value, headers: named })
    last.set(`${topic}/${partition}`, message)
    // Once for what had come together. What fails is committed with a later record, or read again.
    if (commits && stream.readableLength === 0) {
      const committed = Array.from(last.values(), one => Promise.resolve(one.commit()))
      for (const { reason } of await Promise.allSettled(committed)) if (reason) console.error(reason)
      last.clear()
    }
  }
}

run({ create, produce, consume, join })
