import { connect } from 'node:tls'
import { quantile } from '../statistics.ts'
import { task, tlsTo } from './arguments.ts'

/**
 * Makes TLS 1.3 connections and closes them, four at a time, with no request on them.
 * When sessions shall be resumed, one that is not counts as an error.
 * Prints one JSON line: requests (handshakes), micros, p99Micros, errors.
 */
const lanes = 4
const patienceMs = 5_000

const session = task.resumed ? await firstSession() : undefined
const startedMs = performance.now()
const endMs = startedMs + task.seconds * 1_000
const latencies: number[] = []
let errors = 0

await Promise.all(Array.from({ length: lanes }, lane))

const micros = Math.round((performance.now() - startedMs) * 1_000)
const p99Micros = Math.round(quantile(latencies, 0.99) * 1_000)
console.log(JSON.stringify({ requests: latencies.length, micros, p99Micros, errors }))

async function lane(): Promise<void> {
  while (performance.now() < endMs) await handshake()
}

function handshake(): Promise<void> {
  return new Promise((resolve) => {
    const beganMs = performance.now()
    const socket = connect({ ...tlsTo, session })
    let counted = false
    socket.setTimeout(patienceMs, () => socket.destroy())
    socket.once('secureConnect', () => {
      counted = true
      latencies.push(performance.now() - beganMs)
      if (task.resumed && !socket.isSessionReused()) errors += 1
      socket.end()
    })
    socket.on('error', () => {})
    socket.once('close', () => {
      if (!counted) errors += 1
      resolve()
    })
    socket.resume()
  })
}

/** TLS 1.3 tickets come after the handshake, with the server's first write. */
function firstSession(): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(tlsTo)
    socket.setTimeout(patienceMs, () => socket.destroy(new Error('the server sent no session ticket')))
    socket.once('error', reject)
    socket.once('session', (ticket) => {
      resolve(ticket)
      socket.end()
    })
    socket.resume()
  })
}
