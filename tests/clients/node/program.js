// The loop that the Node client programs share: one command a line in, its answer out.
// The commands, the record file and the canonical lines are described in ../README.md.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

import { group, member } from './group.js'

// `-` is null, `x` and hexadecimal digits are bytes.
function nullableBytes (text) {
  return text === '-' ? null : Buffer.from(text.slice(1), 'hex')
}

function readRecords (path) {
  const values = readFileSync(`${path}.values`)
  const lines = readFileSync(path, 'utf8').split('\n').filter(line => line !== '')
  return lines.map(line => {
    const [partition, timestamp, key, value, ...headers] = line.split(' ')
    const [start, length] = value.split('+').map(Number)
    return {
      partition: Number(partition),
      timestamp,
      key: nullableBytes(key),
      value: value === '-' ? null : values.subarray(start, start + length),
      headers: headers.map(header => {
        const [name, content] = header.split('=')
        return [name, nullableBytes(content)]
      })
    }
  })
}

function hexadecimal (content) {
  return content === null || content === undefined ? null : Buffer.from(content).toString('hex')
}

// Offsets and timestamps come as text or BigInt and are printed as JSON numbers.
export function printRecord ({ topic, partition, offset, timestamp, key, value, headers }) {
  const described = value === null || value === undefined
    ? null
    : { bytes: value.length, sha256: createHash('sha256').update(value).digest('hex') }
  const shown = headers.map(([name, content]) => [name, hexadecimal(content)])
  const text = JSON.stringify({
    topic,
    partition,
    offset: Number(offset),
    timestamp: Number(timestamp),
    key: hexadecimal(key),
    value: described,
    headers: shown
  })
  process.stdout.write(text + '\n')
}

export function deadline (promise, milliseconds, what) {
  let timer
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took over ${milliseconds} ms`)), milliseconds)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

export async function run ({ create, produce, consume, join }) {
  const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  const number = text => (text === '-' ? undefined : Number(text))
  const commands = {
    create: (topic, partitions, size) => create(topic, Number(partitions), number(size)),
    produce: (topic, codec, size, path) => produce(topic, codec, readRecords(path)),
    consume: topics => consume(topics.split(',')),
    group: (...words) => group(join, words),
    member: (...words) => member(join, words, input)
  }
  for await (const line of input) {
    const [name, ...parts] = line.split(' ')
    try {
      await commands[name](...parts)
      process.stdout.write('done\n')
    } catch (error) {
      console.error(error)
      const causes = [error, ...(error.errors ?? []), error.cause].filter(Boolean)
      const said = causes.map(cause => String(cause.message ?? cause)).join(': ')
      process.stdout.write(`failed ${said.replaceAll(/\s+/g, ' ')}\n`)
    }
  }
  process.exit(0)
}
