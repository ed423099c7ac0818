// What the Node client programs do as members of groups. The commands are described in ../README.md.

import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs from 'kafkajs'

import { deadline, printRecord } from './program.js'

// Short: members that join are waited for by all others.
export const HEARTBEAT = 300

// A member is told `{ group, assignor, instance, commit, topics, session }`; topics are names, or one RegExp. `join` starts
// it, calls `each` with every record, and gives `leave`, and `isAssigned`, which says whether it has partitions.

// Reads topics as a group: a second member joins once the first has read. It ends when all is committed.
export async function group (join, [name, assignor, instance, topics]) {
  const admin = new kafkajs.Kafka({ clientId: 'asking', brokers: [process.argv[2]] }).admin()
  await admin.connect()
  const leaves = []
  try {
    const told = { group: name, assignor, commit: 'sync', topics: topics.split(','), session: 45_000 }
    const ends = await Promise.all(told.topics.map(async topic => [topic, await admin.fetchTopicOffsets(topic)]))
    if (await left(admin, name, ends) === 0n) return
    let started
    const hasRead = new Promise(resolve => { started = resolve })
    const each = record => {
      printRecord(record)
      started()
    }
    const work = async () => {
      for (const number of [0, 1]) {
        const its = { ...told, instance: instance === '-' ? undefined : `${instance}-${number}` }
        const { leave, isAssigned } = await join(its, each)
        leaves.push(leave)
        await hasRead
        // A static member does not leave: one that went while the other joins would be waited for.
        while (!isAssigned()) await sleep(20)
      }
      while (await left(admin, name, ends) > 0n) await sleep(20)
    }
    await deadline(work(), 60_000, 'reading as a group')
  } finally {
    for (const leave of leaves) await leave()
    await admin.disconnect()
  }
}

async function left (admin, groupId, ends) {
  const committed = new Map()
  for (const { topic, partitions } of await admin.fetchOffsets({ groupId, topics: ends.map(([topic]) => topic) })) {
    for (const { partition, offset } of partitions) committed.set(`${topic}/${partition}`, BigInt(offset))
  }
  let sum = 0n
  for (const [topic, its] of ends) {
    for (const { partition, high, low } of its) {
      const at = committed.get(`${topic}/${partition}`) ?? -1n
      sum += BigInt(high) - (at > BigInt(low) ? at : BigInt(low))
    }
  }
  return sum
}

// One member until a line comes; each record that it reads is a line at once.
export async function member (join, [name, assignor, instance, commit, topic], input) {
  const topics = [topic.startsWith('^') ? new RegExp(topic) : topic]
  const told = { group: name, assignor, commit, topics, session: 2000, instance: instance === '-' ? undefined : instance }
  const { leave } = await join(told, ({ topic, partition, offset, value }) => {
    process.stdout.write(`read ${topic} ${partition} ${offset} ${value}\n`)
  })
  await input.next()
  await leave()
}
