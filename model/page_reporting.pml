/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The state of a page reporting device, as mm/page_reporting.c has it, against
 * all orders in which its parts can meet: CPUs that free memory, the worker, a
 * driver that registers and unregisters, and a machine that is suspended.
 *
 * Each statement is one atomic step. Memory is sequentially consistent here, as
 * the code makes it where it matters: requests and passes meet under zone->lock,
 * and the state changes by value-returning atomics, which are full barriers.
 *
 * What is shown (model/README.md says how):
 *   no request is lost        quiet: when all is at rest, nothing is unreported
 *   never two passes at once  in_pass
 *   no report() after unregister() has returned, nor while queues are down
 *   the worker stops          no cycle at all: what is freed is bounded
 *
 * Each MUT_... is a fault that must be found; model/mutations lists them.
 */

#define ZONES	2	/* two CPUs that free are not held apart by one lock */
#ifndef FREES
#define FREES	2	/* blocks that each of them frees */
#endif
#ifndef LIVES
#define LIVES	2	/* times that the driver registers */
#endif

#define IDLE		0
#define REQUESTED	1
#define ACTIVE		2

byte state = IDLE;		/* prdev->state */
bool published;			/* page_reporting_dev != NULL */

/* The delayed work. Its timer may expire at any time: the delay is not modelled. */
bool queued;			/* PENDING */
byte running;			/* executions of the work function */
bool disabled;			/* cancel_delayed_work_sync() is under way */

/* The irq_work, for the free path: an interrupt comes at any time. */
bool kicked;

/* Per zone: the lock, and the unreported blocks on its free lists. */
bool locked[ZONES];
byte unreported[ZONES];

/* RCU read sections of the free path; synchronize_rcu() waits for them. */
byte readers;

/* The machine. */
bool frozen;			/* freezable workqueues run nothing */
bool queues_down;		/* between the driver's freeze() and restore() */

/* What was seen to happen, for the properties only. */
byte in_pass;
bool may_report;		/* between register() and the return of unregister() */
byte fails_left = 1;		/* times that the device will fail */
byte freers_left = ZONES;
bool driver_done;

#define lock(z)		atomic { !locked[z] -> locked[z] = true }
#define unlock(z)	locked[z] = false

/* queue_delayed_work() */
inline queue_work()
{
	atomic {
		if
		:: !disabled -> queued = true
		:: else
		fi
	}
}

/*
 * page_reporting_request(), or with later what the free path does: an interrupt is
 * to queue the work. old is the caller's.
 */
inline request(old, later)
{
	old = state;
	if
	:: old == REQUESTED
	:: else ->
#ifdef MUT_IGNORE_ACTIVE
		atomic {
			old = state;
			if
			:: old == IDLE -> state = REQUESTED
			:: else
			fi
		}
#else
		atomic { old = state; state = REQUESTED }
#endif
		if
		:: old == IDLE && later -> kicked = true
		:: old == IDLE && !later -> queue_work()
		:: else
		fi
	fi;
	old = 0
}

/* page_reporting_notify(): the device is read inside of an RCU read section. */
inline notify(old)
{
	readers++;
	if
	:: published -> request(old, true)
	:: else
	fi;
	readers--
}

/* __free_one_page() of blocks that are large enough. */
proctype Freer(byte z)
{
	byte n, old;

	do
	:: n < FREES ->
#ifdef MUT_NOTIFY_FIRST
		notify(old);
		lock(z);
		unreported[z]++;
		unlock(z);
#else
		lock(z);
		unreported[z]++;
		notify(old);
		unlock(z);
#endif
		n++
	:: else -> break
	od;
	freers_left--
}

/* page_reporting_flush(): the batch is with the device, the lock is not held. */
inline report(z, batch)
{
	assert(may_report);
	assert(!queues_down);
	if
	:: batch = 0
	:: atomic { fails_left > 0 -> fails_left--; err = true }
	fi;
	lock(z);
	if
	:: batch > 0 ->
		unreported[z] = unreported[z] + batch;
		batch = 0
	:: else
	fi;
	unlock(z)
}

/*
 * page_reporting_process(). Two of them, because it is the workqueue that does
 * not run one work item twice at a time, and the driver that must not make it a
 * new one while it runs.
 */
proctype Worker()
{
	byte z, batch, old;
	bool err, more;

end:	do
#ifdef MUT_NOT_FREEZABLE
	:: atomic { queued && !running -> queued = false; running++ }
#else
	:: atomic { queued && !running && !frozen -> queued = false; running++ }
#endif
		in_pass++;
		assert(in_pass == 1);
#ifndef MUT_ACTIVE_LATE
		state = ACTIVE;
#endif
		z = 0;
		do
		:: z < ZONES ->
			lock(z);
			/* Of a long list, some are left to the next pass. */
			if
			:: unreported[z] > 1 ->
				batch = unreported[z] / 2;
				more = true
			:: else ->
				batch = unreported[z]
			fi;
			unreported[z] = unreported[z] - batch;
			unlock(z);
			if
			:: batch > 0 -> report(z, batch)
			:: else
			fi;
			if
			:: err -> break		/* what the other zone has is left */
			:: else
			fi;
			z++
		:: else -> break
		od;
		z = 0;
		if
		:: err ->
			err = false;
#ifndef MUT_NO_RETRY
			request(old, false)
#endif
		:: !err && more ->
#ifdef MUT_NO_MORE
			skip
#else
			request(old, false)
#endif
		:: else
		fi;
		more = false;
#ifdef MUT_ACTIVE_LATE
		state = ACTIVE;
#endif
#ifdef MUT_STORE_IDLE
		state = IDLE;
		old = ACTIVE;
#else
		atomic {
			old = state;
			if
			:: old == ACTIVE -> state = IDLE
			:: else
			fi
		};
#endif
		in_pass--;
		if
#ifdef MUT_RUN_ON
		:: true -> queue_work()
#else
		:: old != ACTIVE ->
#ifndef MUT_NO_REQUEUE
			queue_work()
#else
			skip
#endif
		:: else
#endif
		fi;
		old = 0;
		atomic {
			if
			:: running > 0 -> running--
			:: else		/* the work was made new under it */
			fi
		}
	od
}

/* page_reporting_kick(). It waits for ever when nothing comes any more. */
active proctype Interrupt()
{
end:	do
	:: atomic { kicked -> kicked = false; queue_work() }
	od
}

/* page_reporting_register() and page_reporting_unregister(), by a driver. */
proctype Driver()
{
	byte n, old;

	do
	:: n < LIVES ->
		atomic { state = IDLE; queued = false; running = 0 };	/* INIT_DELAYED_WORK() */
		may_report = true;
#ifdef MUT_PUBLISH_LATE
		request(old, false);
		published = true;
#else
		published = true;
		request(old, false);
#endif
		n++;
		if
		:: n == LIVES -> break	/* the last one stays, to see what it leaves */
		:: else
		fi;
		published = false;
#ifndef MUT_NO_RCU
		!readers;
#endif
#ifndef MUT_NO_KICK_WAIT
		!kicked;
#endif
		atomic { disabled = true; queued = false };
#ifndef MUT_NO_WAIT
		!running;
#endif
		disabled = false;
		may_report = false
	od;
	driver_done = true
}

/* One suspend and resume, at any time. */
proctype Suspend()
{
	frozen = true;
#ifndef MUT_NOT_FREEZABLE
	!running;		/* freezing waits for work that runs */
#endif
	queues_down = true;
	queues_down = false;
	frozen = false
}

/*
 * At rest nothing can move: all blocks were freed, the driver is registered for
 * good, the machine is awake and no work is queued. Then everything is reported,
 * whatever the device has refused on the way.
 */
active proctype Quiet()
{
end:	timeout ->
	assert(!freers_left && driver_done && !frozen && !queued && !kicked);
	assert(!unreported[0] && !unreported[1]);
	assert(state == IDLE)
}

init
{
	atomic {
		run Freer(0);
		run Freer(1);
		run Worker();
		run Worker();
		run Driver();
		run Suspend()
	}
}
