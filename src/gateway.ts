import { randomBytes } from 'node:crypto'
import { totalmem } from 'node:os'
import { resolve } from 'node:path'
import { type AdminServer, openAdmin } from './admin/server.ts'
import type { AdminTarget, Readiness, ReloadResult } from './admin/routes.ts'
import { readVersion } from './cli/version.ts'
import { type Clock, systemClock } from './clock.ts'
import { ConfigError, printFaults } from './config/faults.ts'
import type { GatewayConfig } from './config/gateway-config.ts'
import type { ResolvedGateway } from './config/gateway-options.ts'
import { type ConfigSource, type LoadedConfig, loadConfig } from './config/load.ts'
import { type Environment, resolveConfig } from './config/resolve.ts'
import { reason } from './errors.ts'
import { ListenError } from './listener/bind.ts'
import { type FileWatch, expiryWarnings, watchFiles } from './listener/certificate-files.ts'
import { CertificateError, type TlsMaterial } from './listener/certificates.ts'
import { type TicketKeys, rotateTicketKeys } from './listener/ticket-keys.ts'
import type { Logger } from './log.ts'
import { type ListenAddress, printListenAddress } from './net-address.ts'
import { type FileSink, fileSink } from './observe/file-sink.ts'
import type { LogSink } from './observe/log-sink.ts'
import { relayBatch } from './observe/relay-sink.ts'
import { ConnectionTable } from './shared/connection-table.ts'
import { stderrWriter } from './stderr-log.ts'
import { adjustableLogger } from './workers/adjustable-logger.ts'
import { bindPlan, planSource } from './workers/bound-plan.ts'
import { loadMaterials, materialFiles } from './workers/materials.ts'
import type { WorkerPlan } from './workers/messages.ts'
import { Supervisor, WorkerStartError } from './workers/supervisor.ts'
import { threadSpawner } from './workers/thread.ts'

/**
 * The gateway as one thing, in the main thread: configuration, certificates, ticket keys, admin endpoint, access log and
 * the workers, which carry the traffic. Start, reload, drain, stop.
 *
 * It never sees a request. A reload that fails, at whatever point, changes nothing. In memory: the plan in use, the
 * certificates' text, one reload that runs and one that waits.
 */
export interface GatewayInit {
  /** Where the configuration comes from; a file is read again at each reload. */
  readonly source: GatewaySource
  readonly env?: Environment
  readonly clock?: Clock
  /** Takes whole lines of the runtime log; default: standard error. */
  readonly writeLog?: (line: string) => void
  /** Takes the access log instead of what the configuration names. */
  readonly accessLogSink?: LogSink
  /** Where the development certificate is kept; default: `certs` in the working folder. */
  readonly certificateFolder?: string
}

export type GatewaySource =
  | { readonly kind: 'file'; readonly path: string }
  /** `baseDir`: where relative paths start; default: the working folder. */
  | { readonly kind: 'object'; readonly config: GatewayConfig; readonly baseDir?: string }

/** A gateway that could not start. Each fault is one line, for people. */
export class StartError extends Error {
  override readonly name = 'StartError'
  readonly faults: readonly string[]

  constructor(faults: readonly string[], cause: unknown) {
    super(faults.join('\n'), { cause })
    this.faults = faults
  }
}

export interface ServedAddress {
  /** The listener's name: its address as written. */
  readonly name: string
  /** With the port that was found for 0. */
  readonly address: ListenAddress
  readonly encrypted: boolean
}

/** How a drain ended. */
export interface StopResult {
  /** Requests that the deadline cut. */
  readonly cut: number
  /** Every worker drained by itself and no request was cut. */
  readonly clean: boolean
}

/** Building a plan loads files and binds addresses. */
const prepareTimeoutMs = 30_000
const commitTimeoutMs = 10_000
const askTimeoutMs = 1_000
/** What a worker may take beyond the drain's deadline to cut the rest and hand in its log. */
const drainGraceMs = 3_000
/** More faults than this help nobody. */
const maxFaults = 100

interface Plan {
  readonly config: ResolvedGateway
  readonly file: ConfigSource | undefined
  readonly materials: readonly (TlsMaterial | undefined)[]
  readonly worker: WorkerPlan
}

export class Gateway {
  readonly version = readVersion()
  readonly #init: GatewayInit
  readonly #clock: Clock
  readonly #env: Environment
  readonly #logger: Logger
  readonly #setLevel: (level: ResolvedGateway['logLevel']) => void
  readonly #certificateFolder: string
  readonly #writeLog: (line: string) => void
  #state: Readiness['state'] = 'starting'
  #plan: Plan | undefined
  #supervisor: Supervisor | undefined
  #admin: AdminServer | undefined
  #ticketKeys: TicketKeys | undefined
  #watch: FileWatch | undefined
  #file: FileSink | undefined
  #running: Promise<ReloadResult> | undefined
  #waiting: Promise<ReloadResult> | undefined
  #stopped: Promise<StopResult> | undefined

  constructor(init: GatewayInit) {
    this.#init = init
    this.#clock = init.clock ?? systemClock
    this.#env = init.env ?? process.env
    this.#certificateFolder = init.certificateFolder ?? resolve('certs')
    this.#writeLog = init.writeLog ?? stderrWriter()
    const { logger, setLevel } = adjustableLogger(this.#writeLog, 'info', this.#clock)
    this.#logger = logger
    this.#setLevel = setLevel
  }

  get logger(): Logger {
    return this.#logger
  }

  get addresses(): readonly ServedAddress[] {
    const plan = this.#plan
    if (plan === undefined) return []
    return plan.worker.listeners.map(({ address }, at) => ({
      name: plan.config.listeners[at]?.name ?? '',
      address,
      encrypted: plan.config.listeners[at]?.tls !== undefined,
    }))
  }

  /** Of the admin endpoint, with its real port; undefined when there is none. */
  get adminAddress(): string | undefined {
    return this.#admin?.address
  }

  get readiness(): Readiness {
    return { state: this.#state, workers: this.#supervisor?.size ?? 0, serving: this.#supervisor?.serving ?? 0 }
  }

  /** Resolves when every worker serves. Rejects with StartError; nothing runs then. */
  async start(): Promise<void> {
    try {
      const loaded = await this.#load()
      this.#setLevel(loaded.config.logLevel)
      const plan = await this.#makePlan(loaded, 1)
      this.#plan = plan
      this.#openLog(plan.config)
      this.#ticketKeys = this.#rotateKeys(plan.config)
      const { admin, workers, limits } = plan.config
      if (admin !== undefined) this.#admin = await this.#openAdmin(admin.address)
      this.#supervisor = this.#createSupervisor(workers, ConnectionTable.allocate(limits.maxConnections, workers, randomBytes(4).readUInt32BE()))
      await this.#supervisor.start()
      this.#watchCertificates()
    } catch (error) {
      await this.#release()
      this.#state = 'stopped'
      throw new StartError(faultsOf(error), error)
    }
    this.#state = 'ready'
    this.#logger.info('gateway started', {
      version: this.version,
      workers: this.#supervisor.size,
      listeners: this.addresses.map(({ address }) => printListenAddress(address)).join(' '),
      admin: this.adminAddress,
      pid: process.pid,
    })
  }

  /**
   * Loads the configuration again and puts it to use in every worker, or in none. One at a time; calls that come while
   * one waits get that one's result. Never rejects.
   */
  reload(): Promise<ReloadResult> {
    if (this.#running === undefined) {
      const run = this.#reload()
      this.#running = run
      void run.then(() => (this.#running = undefined))
      return run
    }
    this.#waiting ??= this.#running.then(() => {
      this.#waiting = undefined
      return this.reload()
    })
    return this.#waiting
  }

  /** Opens the access log again, for log rotation. */
  reopenLog(): void {
    this.#file?.reopen()
  }

  /** Takes no more connections, finishes what runs, cuts the rest at the deadline. Idempotent; never rejects. */
  stop(): Promise<StopResult> {
    this.#stopped ??= this.#drain()
    return this.#stopped
  }

  /** Ends one worker at once, as a crash would; it is started again. */
  async crashWorker(index: number): Promise<void> {
    await this.#supervisor?.recycle(index)
  }

  async #reload(): Promise<ReloadResult> {
    const former = this.#plan
    const supervisor = this.#supervisor
    if (this.#state !== 'ready' || former === undefined || supervisor === undefined) {
      return { kind: 'failed', faults: [`the gateway is ${this.#state}`] }
    }
    try {
      const loaded = await this.#load()
      const plan = await this.#makePlan(loaded, former.worker.generation + 1)
      const sink = this.#preparedLog(plan.config, former.config)
      const faults = await supervisor.hold(() => this.#swap(supervisor, plan))
      if (faults.length > 0) {
        await sink?.close()
        return this.#refused('failed', faults)
      }
      const warnings = this.#settle(plan, former, sink)
      this.#logger.info('configuration reloaded', { generation: plan.worker.generation })
      return { kind: 'reloaded', warnings: [...loaded.warnings.map((fault) => printFaults([fault])), ...warnings] }
    } catch (error) {
      const isUsersFault = error instanceof ConfigError || error instanceof CertificateError
      return this.#refused(isUsersFault ? 'refused' : 'failed', faultsOf(error))
    }
  }

  /** Both phases. Faults mean that every worker still has its former plan. */
  async #swap(supervisor: Supervisor, plan: Plan): Promise<readonly string[]> {
    const prepared = await supervisor.broadcast('prepare', { plan: plan.worker }, prepareTimeoutMs)
    const faults = new Set(prepared.flatMap((reply) => reply.answer?.faults ?? [reply.failure ?? '']))
    if (faults.size > 0) {
      await supervisor.broadcast('abandon', {}, commitTimeoutMs)
      return [...faults]
    }
    // From here on a worker that starts gets the new plan, and one that does not follow is started anew.
    this.#plan = plan
    const committed = await supervisor.broadcast('commit', { generation: plan.worker.generation }, commitTimeoutMs)
    for (const { index, answer, failure } of committed) {
      const trouble = failure ?? answer.faults[0]
      if (trouble === undefined) continue
      this.#logger.error('worker did not take the new configuration', { worker: index, reason: trouble })
      await supervisor.recycle(index)
    }
    return []
  }

  /** What the main thread itself has to change. Returns what needs a restart. */
  #settle(plan: Plan, former: Plan, sink: FileSink | undefined): string[] {
    const { config } = plan
    this.#setLevel(config.logLevel)
    this.#supervisor?.postAll({ kind: 'log-level', level: config.logLevel })
    if (sink === undefined) this.#file?.reopen()
    else {
      void this.#file?.close()
      this.#file = sink
    }
    if (config.tls.ticketRotationMs !== former.config.tls.ticketRotationMs) {
      this.#ticketKeys?.stop()
      this.#ticketKeys = this.#rotateKeys(config)
      this.#supervisor?.postAll({ kind: 'ticket-key', key: this.#ticketKeys.current })
    }
    this.#watchCertificates()
    const warnings: string[] = []
    if (config.workers !== this.#supervisor?.size) warnings.push('workers: the new number needs a restart')
    if (JSON.stringify(config.admin) !== JSON.stringify(former.config.admin)) {
      warnings.push('admin: the new address needs a restart')
    }
    for (const warning of warnings) this.#logger.warn('configuration', { warning })
    return warnings
  }

  #refused(kind: 'refused' | 'failed', faults: readonly string[]): ReloadResult {
    this.#logger.error('reload failed, the configuration in use stays', { reason: faults.join('; ') })
    return { kind, faults: faults.slice(0, maxFaults) }
  }

  async #drain(): Promise<StopResult> {
    const supervisor = this.#supervisor
    const plan = this.#plan
    // Readiness first: a load balancer should look elsewhere before a connection is refused.
    this.#state = 'draining'
    let cut = 0
    let isClean = true
    if (supervisor !== undefined && plan !== undefined) {
      const deadlineMs = plan.config.timeouts.drainMs
      this.#logger.info('gateway stops', { deadlineMs })
      supervisor.stopRestarting()
      const replies = await supervisor.broadcast('drain', { deadlineMs }, deadlineMs + drainGraceMs)
      for (const { index, answer, failure } of replies) {
        if (answer !== undefined) cut += answer.cut
        else {
          isClean = false
          this.#logger.error('worker did not drain', { worker: index, reason: failure })
        }
      }
    }
    if (cut > 0) this.#logger.warn('requests were cut at the deadline', { requests: cut })
    await this.#release()
    this.#state = 'stopped'
    this.#logger.info('gateway stopped', { clean: isClean && cut === 0 })
    return { cut, clean: isClean && cut === 0 }
  }

  /** Lets go of everything that is open; harmless for what is not. */
  async #release(): Promise<void> {
    this.#watch?.stop()
    this.#ticketKeys?.stop()
    await this.#supervisor?.terminate()
    await this.#admin?.close()
    await this.#file?.close()
  }

  async #load(): Promise<{ config: ResolvedGateway; warnings: LoadedConfig['warnings']; file: ConfigSource | undefined }> {
    const { source } = this.#init
    if (source.kind === 'file') {
      const { config, warnings, source: file } = await loadConfig(source.path, this.#env)
      return { config, warnings, file }
    }
    const { config, warnings } = resolveConfig(source.config, { baseDir: source.baseDir ?? process.cwd(), env: this.#env })
    return { config, warnings, file: undefined }
  }

  async #makePlan(
    { config, warnings, file }: { config: ResolvedGateway; warnings: LoadedConfig['warnings']; file: ConfigSource | undefined },
    generation: number,
  ): Promise<Plan> {
    for (const warning of warnings) this.#logger.warn('configuration', { warning: printFaults([warning], file?.path) })
    const materials = await loadMaterials(config, this.#certificateFolder, this.#clock)
    this.#warnOfExpiry(materials)
    const listeners = await bindPlan(config.listeners, this.#plan?.worker.listeners ?? [], materials)
    return { config, file, materials, worker: { generation, source: planSource(config, file), listeners } }
  }

  #warnOfExpiry(materials: readonly (TlsMaterial | undefined)[]): void {
    const warnings = new Set<string>()
    for (const material of materials) {
      if (material !== undefined) for (const warning of expiryWarnings(material, this.#clock.wallMs())) warnings.add(warning)
    }
    for (const warning of warnings) this.#logger.warn('certificate', { warning })
  }

  #createSupervisor(workers: number, table: SharedArrayBuffer): Supervisor {
    const connections = new ConnectionTable(table, 0)
    return new Supervisor(workers, {
      clock: this.#clock,
      logger: this.#logger,
      spawn: threadSpawner(this.#clock, heapMiB(workers)),
      startOf: (index) => {
        const plan = this.#plan as Plan
        return {
          index,
          plan: plan.worker,
          connectionTable: table,
          ticketKey: (this.#ticketKeys as TicketKeys).current,
          logLevel: plan.config.logLevel,
        }
      },
      ended: (index) => connections.clearWorker(index),
      message: (index, message) => {
        if (message.kind === 'log') this.#writeLog(message.line)
        else this.#relay(index, message.batch)
      },
    })
  }

  #relay(index: number, batch: Parameters<typeof relayBatch>[0]): void {
    const acknowledge = (size: number): void => this.#supervisor?.post(index, { kind: 'access-log-taken', size })
    const sink = this.#init.accessLogSink ?? this.#file
    if (sink === undefined) acknowledge(batch.text.length)
    else relayBatch(batch, sink, acknowledge)
  }

  #rotateKeys(config: ResolvedGateway): TicketKeys {
    return rotateTicketKeys(config.tls.ticketRotationMs, this.#clock, randomBytes, (key) => {
      this.#supervisor?.postAll({ kind: 'ticket-key', key })
    })
  }

  #openLog(config: ResolvedGateway): void {
    if (this.#init.accessLogSink !== undefined || config.accessLog.format === 'off') return
    this.#file = fileSink({ path: config.accessLog.path, clock: this.#clock, logger: this.#logger })
  }

  /** The sink for a configuration that writes elsewhere than before, opened already; undefined when it stays. */
  #preparedLog(config: ResolvedGateway, former: ResolvedGateway): FileSink | undefined {
    const { format, path } = config.accessLog
    if (this.#init.accessLogSink !== undefined || format === 'off') return undefined
    if (this.#file !== undefined && path === former.accessLog.path) return undefined
    return fileSink({ path, clock: this.#clock, logger: this.#logger })
  }

  async #openAdmin(address: ListenAddress): Promise<AdminServer> {
    const target: AdminTarget = {
      version: this.version,
      readiness: () => this.readiness,
      reload: () => this.reload(),
      trace: async (requestId) => {
        const replies = (await this.#supervisor?.broadcast('trace', { requestId }, askTimeoutMs)) ?? []
        return replies.find((reply) => reply.answer?.found !== undefined)?.answer?.found
      },
      upstreams: async () => {
        const replies = (await this.#supervisor?.broadcast('stats', {}, askTimeoutMs)) ?? []
        return replies.flatMap(({ index, answer }) => (answer === undefined ? [] : [{ worker: index, ...answer }]))
      },
    }
    try {
      return await openAdmin(address, target, this.#logger)
    } catch (error) {
      throw new ListenError(address, error)
    }
  }

  #watchCertificates(): void {
    this.#watch?.stop()
    const plan = this.#plan as Plan
    const files = materialFiles(plan.config, plan.materials)
    const deps = { clock: this.#clock, logger: this.#logger }
    this.#watch = files.length === 0 ? undefined : watchFiles(files, deps, () => this.#swapCertificates())
  }

  /** Rejects with what is wrong with the new files; the old certificates stay then. */
  async #swapCertificates(): Promise<void> {
    const supervisor = this.#supervisor as Supervisor
    await supervisor.hold(async () => {
      const plan = this.#plan as Plan
      const materials = await loadMaterials(plan.config, this.#certificateFolder, this.#clock)
      this.#warnOfExpiry(materials)
      const listeners = plan.worker.listeners.map((listener, at) => ({ ...listener, material: materials[at] }))
      const replies = await supervisor.broadcast('certificates', { materials }, commitTimeoutMs)
      const faults = new Set(replies.flatMap((reply) => reply.answer?.faults ?? [reply.failure ?? '']))
      if (faults.size > 0) throw new Error([...faults].join('; '))
      this.#plan = { ...plan, materials, worker: { ...plan.worker, listeners } }
      this.#logger.info('certificates replaced')
    })
  }
}

/** One line each. */
function faultsOf(error: unknown): readonly string[] {
  if (error instanceof ConfigError) return error.message.split('\n')
  if (error instanceof WorkerStartError) return error.faults
  return [reason(error)]
}

/** Old-space bound of one worker: its share of three quarters of the memory, 256 MiB to 4 GiB. */
function heapMiB(workers: number): number {
  const limit = process.constrainedMemory()
  const bytes = limit > 0 ? Math.min(limit, totalmem()) : totalmem()
  return Math.min(4_096, Math.max(256, Math.floor((bytes * 0.75) / workers / 1_048_576)))
}
