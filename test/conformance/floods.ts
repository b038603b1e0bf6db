/**
 * Floods a running gateway while a well-behaved client goes on asking, one attack after another.
 *
 *     npm start -- -c test/conformance/probes.config.ts      (an origin with /large?bytes=N on ORIGIN_PORT)
 *     node test/conformance/floods.ts --pid PID [--seconds 30] [--only NAME] [--target 127.0.0.1:8443]
 *
 * Good: the client's success stays at 99 % or more with p99 under 500 ms, memory grows by less than 200 MiB, attackers are
 * cut. Exit 1 otherwise. Loopback only.
 */
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { parseArgs } from 'node:util'
import { type Attack, type AttackState, attacks, type Target } from './flood-attacks.ts'

const { values } = parseArgs({
  options: {
    pid: { type: 'string' },
    seconds: { type: 'string', default: '20' },
    only: { type: 'string' },
    target: { type: 'string', default: '127.0.0.1:8443' },
    admin: { type: 'string', default: '127.0.0.1:2019' },
  },
})
const [host = '127.0.0.1', port = '8443'] = values.target.split(':')
if (host !== '127.0.0.1') throw new Error('floods are for 127.0.0.1 only')
const target: Target = { host, port: Number(port) }
const seconds = Number(values.seconds)
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

function residentMiB(): number {
  if (values.pid === undefined) return Number.NaN
  const status = readFileSync(`/proc/${values.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024
}

/** Client connections that the gateway holds open: an attacker that does not read never learns that it was cut. */
async function openConnections(): Promise<number> {
  const answer = await fetch(`http://${values.admin}/upstreams`)
  const { workers } = (await answer.json()) as { workers: { listeners: { connections: number }[] }[] }
  return workers.flatMap(({ listeners }) => listeners).reduce((sum, { connections }) => sum + connections, 0)
}

/** A client with four keep-alive connections, one request every 20 ms. */
async function wellBehaved(state: { stopped: boolean }): Promise<{ ok: number; bad: number; p99: number }> {
  const agent = new Agent({ keepAlive: true, maxSockets: 4, rejectUnauthorized: false })
  const times: number[] = []
  let ok = 0
  let bad = 0
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      const started = performance.now()
      const asked = request({ ...target, path: '/', agent, timeout: 5000 }, (answer) => {
        answer.resume()
        answer.on('end', () => {
          times.push(performance.now() - started)
          if ((answer.statusCode ?? 500) < 500) ok += 1
          else bad += 1
          resolve()
        })
        answer.on('error', () => {
          bad += 1
          resolve()
        })
      })
      asked.on('timeout', () => asked.destroy(new Error('timeout')))
      asked.on('error', () => {
        bad += 1
        resolve()
      })
      asked.end()
    })
  const pending = new Set<Promise<void>>()
  while (!state.stopped) {
    const running = one()
    pending.add(running)
    void running.then(() => pending.delete(running))
    await sleep(20)
  }
  await Promise.all(pending)
  agent.destroy()
  times.sort((a, b) => a - b)
  return { ok, bad, p99: times[Math.floor(times.length * 0.99)] ?? Number.NaN }
}

async function flood(attack: Attack): Promise<boolean> {
  const before = residentMiB()
  const state: AttackState = { stopped: false, opened: 0, closed: 0, sockets: new Set() }
  const attacking = attack.run(target, state)
  const client = wellBehaved(state)
  let peak = before
  for (let i = 0; i < seconds * 4; i += 1) {
    await sleep(250)
    peak = Math.max(peak, residentMiB())
  }
  const cut = Math.max(state.closed, state.opened - (await openConnections()))
  state.stopped = true
  const { ok, bad, p99 } = await client
  for (const socket of state.sockets) socket.destroy()
  await attacking
  const success = (100 * ok) / Math.max(1, ok + bad)
  const grown = peak - before
  const cutShare = state.opened === 0 ? 1 : cut / state.opened
  const good = success >= 99 && p99 < 500 && !(grown > 200) && (!attack.mustCut || cutShare > 0.9)
  console.log(
    `${good ? 'PASS' : 'FAIL'} ${attack.name.padEnd(18)} success ${success.toFixed(2)}%  p99 ${p99.toFixed(0)} ms  ` +
      `memory +${grown.toFixed(0)} MiB (${before.toFixed(0)} before)  attackers ${state.opened}, cut ${cut}`,
  )
  return good
}

let failed = 0
for (const attack of attacks) {
  if (values.only !== undefined && attack.name !== values.only) continue
  if (!(await flood(attack))) failed += 1
  await sleep(2000)
}
console.log(failed === 0 ? 'all floods held' : `${failed} floods not held`)
process.exitCode = failed === 0 ? 0 : 1
