// What the two programs share: records to the broker and back, and the words of success.
//
// Usage: with_CLIENT.js BOOTSTRAP REGISTRY FORMAT...; says `ok FORMAT` for each.

import assert from 'node:assert/strict'
import kafkajs from 'kafkajs'

const [bootstrap, , ...formats] = process.argv.slice(2)
export const registryUrl = process.argv[3]

// Writes one record for each of `{ topic, bytes }` and gives each topic's values, in order.
async function goRound (records) {
  const kafka = new kafkajs.Kafka({ brokers: [bootstrap], logLevel: kafkajs.logLevel.ERROR })
  const topics = [...new Set(records.map(({ topic }) => topic))]
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: topics.map(topic => ({ topic, numPartitions: 1 })) })
  await admin.disconnect()
  const producer = kafka.producer()
  await producer.connect()
  for (const { topic, bytes } of records) await producer.send({ topic, messages: [{ value: bytes }] })
  await producer.disconnect()

  const read = new Map(topics.map(topic => [topic, []]))
  const consumer = kafka.consumer({ groupId: `${topics[0]}-${process.pid}` })
  await consumer.connect()
  await consumer.subscribe({ topics, fromBeginning: true })
  let left = records.length
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${left} records did not come`)), 30_000)
    const eachMessage = async ({ topic, message }) => {
      read.get(topic).push(message.value)
      left -= 1
      if (left === 0) { clearTimeout(timer); resolve() }
    }
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
    consumer.run({ eachMessage }).catch(reject)
  })
  await consumer.disconnect()
  return read
}

// `deal(format)` registers what the format has and gives `{ records: [{ topic, bytes }], check(read) }`.
export async function run (deal) {
  const dealt = []
  for (const format of formats) dealt.push(await deal(format))
  const read = await goRound(dealt.flatMap(({ records }) => records))
  for (const [number, { check }] of dealt.entries()) {
    await check(read)
    console.log('ok', formats[number])
  }
}

export async function refused (code, codeOf, call) {
  const error = await call().then(() => assert.fail(`not refused with ${code}`), error => error)
  assert.equal(codeOf(error), code, error)
}
