/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The state of a page reporting device, as mm/page_reporting.c has it, against
 * all orders in which its parts can meet: CPUs that free memory, the worker, a
 * driver that registers and unregisters, root who stops and resumes reporting,
 * writers of report_now, and a machine that is suspended.
 *
 * Each statement is one step. Several are one, in atomic { }, if a lock is held
 * for them, or if nobody can tell. Memory is sequentially consistent here, as the
 * code makes it where it matters: requests and passes meet under zone->lock, and
 * the state changes by value-returning atomics, which are full barriers, as is
 * what is between a ticket that is drawn and a look at the state.
 *
 * What is shown, and with how many of each part: model/README.md. Each MUT_... is
 * a fault that must be found; model/mutations lists them.
 */

#ifndef ZONES
#define ZONES	2	/* up to 2: CPUs that free are not held apart by one lock */
#endif
#ifndef FREE
#define FREE	0	/* blocks of the first zone that are free from the start */
#endif
#ifndef FREES
#define FREES	2	/* blocks that are freed in each zone */
#endif
#ifndef FAILS
#define FAILS	1	/* times that the device fails */
#endif
#ifndef CHANGES
#define CHANGES	3	/* times that a driver comes or goes, or reporting is stopped or resumed */
#endif
#ifndef SUSPENDS
#define SUSPENDS 1	/* times that the machine is suspended, up to 1 */
#endif
#ifndef WRITERS
#define WRITERS	0	/* writers of report_now who wait until it is done, up to 1 */
#endif
#ifndef OTHERS
#define OTHERS	0	/* writers whom a signal keeps from waiting */
#endif

#define IDLE		0
#define REQUESTED	1
#define ACTIVE		2

#define NONE		255

byte state = IDLE;		/* prdev->state */
bool published;			/* page_reporting_dev != NULL */
bool registered;		/* page_reporting_registered != NULL */
bool wanted = true;		/* page_reporting_wanted */
bool mutex;			/* page_reporting_mutex */

/*
 * The delayed work. A timer expires at any time, or not before the writer of
 * report_now has returned: which of both is decided when it is armed. So whoever
 * counts on a timer may wait for ever.
 */
bool queued;			/* PENDING */
bool slow;			/* queued with a timer of the second kind */
byte running;			/* executions of the work function */
bool disabled;			/* cancel_delayed_work_sync() is under way */

/* The irq_work, for the free path: an interrupt comes at any time. */
bool kicked;

/*
 * Per zone: the lock, the unreported blocks on its free lists, and how many of them
 * were not there at the last look.
 */
bool locked[2];
byte unreported[2];
byte young[2];

/* RCU read sections of the free path; synchronize_rcu() waits for them. */
byte readers;

/* For report_now */
byte tickets;			/* page_reporting_tickets */
byte served;			/* page_reporting_served */
bool failed;			/* page_reporting_result != 0 */
bool woken = true;		/* wake_up_all() since the writer has looked */

/* The machine. */
bool frozen;			/* freezable workqueues run nothing */
bool queues_down;		/* between the driver's freeze() and restore() */

/* What was seen to happen, for the properties only. */
byte in_pass;
bool may_report;		/* from start() to the return of stop() */
byte fails_left = FAILS;
byte freers_left = ZONES;
byte writers_left = WRITERS + OTHERS;
bool changes_done;
byte extra;			/* passes that may start with nothing requested: one for each writer */
byte writer;			/* 0: yet to come, 1: here, 2: has returned */
byte ticket = NONE;		/* the writer's */
byte owed[2];			/* of unreported: since before the writer came */
byte freed[2];			/* blocks, per zone */
bool excuse;			/* of the writer, if it returns an error */

/* queue_delayed_work() */
inline queue_work()
{
	atomic {
		if
		:: !disabled && !queued ->
			queued = true;
			if
			:: true
			:: WRITERS && writer < 2 -> slow = true
			fi
		:: else
		fi
	}
}

/* mod_delayed_work() with no delay: even if a pass runs, or has run just now */
inline queue_work_now()
{
	atomic {
		if
		:: !disabled ->
			if
			:: !queued -> extra++
			:: else
			fi;
			queued = true;
			slow = false
		:: else
		fi
	}
}

/*
 * page_reporting_requested(). The code looks at the state before it exchanges it:
 * nobody can tell that from an exchange that changes nothing. The caller has to
 * queue the work if old is IDLE.
 */
inline requested(old)
{
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
}

inline request(old)
{
	requested(old);
	if
	:: old == IDLE -> queue_work()
	:: else
	fi;
	old = 0
}

/*
 * page_reporting_notify(): the device is read inside of an RCU read section, and
 * an interrupt is to queue the work. Then the lock is released.
 */
inline notify(z, old)
{
	if
	:: atomic { published -> readers++ };
		requested(old);
		atomic {
			if
			:: old == IDLE -> kicked = true
			:: else
			fi;
			old = 0;
			readers--;
			locked[z] = false
		}
	:: else -> locked[z] = false
	fi
}

/* __free_one_page() of blocks that are large enough. */
proctype Freer(byte z)
{
	byte n, old;

	do
	:: n < FREES ->
#ifdef MUT_NOTIFY_FIRST
		atomic { !locked[z] -> locked[z] = true };
		notify(z, old);
		atomic { !locked[z] -> unreported[z]++; young[z]++; freed[z]++ };
#else
		atomic { !locked[z] -> locked[z] = true; unreported[z]++; young[z]++; freed[z]++ };
		notify(z, old);
#endif
		n++
	:: else -> break
	od;
	freers_left--
}

/*
 * page_reporting_flush(): a block is with the device, the lock is not held. If
 * the device fails, it goes back to its list.
 */
inline flush(z)
{
	assert(may_report && !queues_down);
	if
	:: true
	:: atomic {
		fails_left && !locked[z] ->
		fails_left--;
		err = true;
		excuse = (excuse || ticket <= seen);
		unreported[z]++;
		owed[z] = owed[z] + (is_owed && writer == 1)
	   }
	fi;
	atomic {
		assert(may_report && !queues_down);
		is_owed = false;
		if
		:: !published -> err = true	/* whoever stops waits for no more */
		:: else
		fi
	}
}

/*
 * page_reporting_look() and page_reporting_list(), with batches of one block: what has
 * come last is taken first, and what the writer waits for at last. It is as many as
 * were there at the last look, not the same ones. That the code looks back further
 * than that delays what is reported, and requests as many passes more.
 */
inline list(z)
{
	atomic {
		!locked[z] ->
		before = freed[z];
		if
#ifndef MUT_NOT_FULL
		:: whole -> todo = unreported[z]
#endif
		:: else -> todo = (unreported[z] > young[z] -> unreported[z] - young[z] : 0)
		fi;
		young[z] = 0
	};
	do
	:: atomic {
		!locked[z] && unreported[z] && todo ->
		if
		:: unreported[z] == owed[z] -> owed[z]--; is_owed = true
		:: else
		fi;
		unreported[z]--;
		todo--
	   };
	   flush(z);
	   if
	   :: err -> break
	   :: else
	   fi
	:: atomic {
		!locked[z] && unreported[z] && !todo ->
		more = true;
		excuse = (excuse || (ticket <= seen && freed[z] > before));
		break
	   }
	:: atomic { !locked[z] && !unreported[z] -> break }
	od;
	todo = 0;
	before = 0
}

/* page_reporting_serve() */
inline serve(drawn, error)
{
	if
	:: drawn == served
#if defined(MUT_RESULT_LATE)
	:: else -> atomic { served = drawn; woken = true }; failed = error
#elif defined(MUT_WAKE_EARLY)
	:: else -> woken = true; atomic { failed = error; served = drawn }
#else
	:: else -> atomic { failed = error; served = drawn; woken = true }
#endif
	fi
}

/*
 * page_reporting_process(). Two of them, because it is the workqueue that does
 * not run one work item twice at a time, and the driver that must not make it a
 * new one while it runs.
 */
proctype Worker(bool second)
{
	byte z, todo, old, seen, before;
	bool whole, more, err, is_owed;

end:	do
	:: atomic {
		queued && !running && !(slow && writer == 1) &&
#ifndef MUT_NOT_FREEZABLE
		!frozen &&
#endif
		(!second || in_pass) ->
		queued = false;
		slow = false;
		running++;
		in_pass++;
		assert(in_pass == 1)
	   };
#ifndef MUT_ACTIVE_LATE
	   atomic {
		if
		:: state == REQUESTED
		:: else -> assert(extra); extra--
		fi;
		state = ACTIVE
	   };
#endif
	   atomic { seen = tickets; whole = seen != served };
	   do
	   :: z < ZONES && !err -> list(z); z++
	   :: else -> break	/* what the other zone has is left if one fails */
	   od;
	   z = 0;
#ifdef MUT_TICKETS_LATE
	   seen = tickets;
#endif
	   if
#ifndef MUT_NO_RETRY
	   :: err -> request(old)
#endif
#ifndef MUT_NO_MORE
	   :: !err && more -> request(old)
#endif
#ifdef MUT_ENDLESS
	   :: else -> request(old)
#else
	   :: else
#endif
	   fi;
#ifdef MUT_SERVE_ERROR
	   if
	   :: !err -> serve(seen, more)
	   :: else
	   fi;
#elif defined(MUT_STOPPED_DONE)
	   serve(seen, (err && published) || more);
#elif defined(MUT_REST_DONE)
	   serve(seen, err);
#else
	   serve(seen, err || more);
#endif
	   atomic { seen = 0; whole = false; more = false; err = false };
#ifdef MUT_ACTIVE_LATE
	   state = ACTIVE;
#endif
	   atomic {
		old = state;
		if
#ifdef MUT_STORE_IDLE
		:: true -> old = ACTIVE; state = IDLE
#else
		:: old == ACTIVE -> state = IDLE
		:: else
#endif
		fi
	   };
	   atomic {
		if
#ifdef MUT_RUN_ON
		:: true -> queue_work()
#else
#ifndef MUT_NO_REQUEUE
		:: old != ACTIVE -> queue_work()
#endif
		:: else
#endif
		fi;
		old = 0;
		in_pass--;
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

/* page_reporting_start(), when the mutex is held, and its release */
inline start(old)
{
	atomic {
		may_report = true;
#ifndef MUT_START_STATE
		state = IDLE;
#endif
#ifndef MUT_PUBLISH_LATE
		published = true
#endif
	};
#ifndef MUT_START_NO_REQUEST
	requested(old);
	atomic {
		if
		:: old == IDLE -> queue_work()
		:: else
		fi;
		old = 0
	};
#endif
#ifdef MUT_PUBLISH_LATE
	published = true;
#endif
	mutex = false
}

/* page_reporting_stop(), likewise */
inline stop()
{
	atomic { published = false; excuse = (writer == 1) };
#if defined(MUT_STOP_SERVE_EARLY)
	serve(tickets, true);
#elif defined(MUT_STOP_WAKES)
	woken = true;
#endif
	atomic {
#ifndef MUT_NO_RCU
		!readers &&
#endif
#ifndef MUT_NO_KICK_WAIT
		!kicked &&
#endif
		true ->
		disabled = true;
		queued = false;
		slow = false
	};
	atomic {
#ifndef MUT_NO_WAIT
		!running ->
#endif
		disabled = false;
		may_report = false
	};
#if !defined(MUT_STOP_NO_SERVE) && !defined(MUT_STOP_SERVE_EARLY) && !defined(MUT_STOP_WAKES)
	serve(tickets, true);
#endif
	mutex = false
}

/*
 * page_reporting_register(), page_reporting_unregister() and writes to enabled:
 * the mutex makes one process of all who call them.
 */
proctype Changes()
{
	byte n, old;

	do
	:: n < CHANGES ->
		if
		:: atomic {
			!mutex && !registered ->
			mutex = true;
			registered = true;
			/* INIT_DELAYED_WORK() */
			queued = false;
			slow = false;
			running = 0
		   };
		   if
#ifndef MUT_REGISTER_STARTS
		   :: !wanted -> mutex = false
#endif
		   :: else -> start(old)
		   fi
		:: atomic { !mutex && registered -> mutex = true; registered = false };
		   if
		   :: published -> stop()
		   :: else -> mutex = false
		   fi
		:: atomic { !mutex && wanted -> mutex = true; wanted = false };
		   if
		   :: published -> stop()
		   :: else -> mutex = false
		   fi
		:: atomic { !mutex && !wanted -> mutex = true; wanted = true };
		   if
		   :: registered && !published -> start(old)
		   :: else -> mutex = false
		   fi
		fi;
		n++
	:: break
	od;
	changes_done = true
}

#ifdef MUT_HURRY_UNLOCKED
#define hold(m)		skip
#define held(m)		false
#else
#define hold(m)		mutex = m
#define held(m)		m
#endif

/* page_reporting_hurry() */
inline hurry(old, error)
{
	atomic {
		!held(mutex) ->
		if
		:: published -> hold(true); requested(old)
		:: else -> error = true
		fi
	};
	if
	:: error
	:: else ->
		atomic {
			old == IDLE || !kicked ->
#ifdef MUT_NO_HURRY
			if
			:: old == IDLE -> queue_work()
			:: else
			fi;
#else
			skip
		};
		atomic {
#ifdef MUT_HURRY_QUEUED
			if
			:: old == IDLE || queued -> queue_work_now()
			:: else
			fi;
#else
			queue_work_now();
#endif
#endif
			old = 0;
			hold(false)
		}
	fi
}

/* A write to report_now. */
proctype Writer()
{
	byte old;
	bool error;

	atomic {
		writer = 1;
		owed[0] = unreported[0];
		owed[1] = unreported[1];
		excuse = !published;
#if defined(MUT_TICKET_OLD)
		ticket = tickets;
		tickets++
#elif !defined(MUT_TICKET_LATE)
		tickets++;
		ticket = tickets
#endif
	};
	hurry(old, error);
#ifdef MUT_TICKET_LATE
	atomic { tickets++; ticket = tickets };
#endif
	if
	:: error
	:: else ->
		do
		:: atomic {
			woken -> woken = false;
			if
			:: served >= ticket -> break
#ifdef MUT_STOP_WAKES
			:: !published -> error = true; break
#endif
			:: else
			fi
		   }
		od
	fi;
	atomic {
		error = (error || failed);
		assert(error || (!owed[0] && !owed[1]));
		assert(!error || excuse);
		error = false;
		writer = 2;
		writers_left--;
		/* Nobody looks at these any more. */
		slow = false;
		ticket = NONE;
		woken = true;
		owed[0] = 0;
		owed[1] = 0;
		excuse = false
	}
}

/*
 * What other writers do before they wait is all that anybody can tell of them.
 * They wait for the same as the first. A signal may keep them from queueing the
 * work as well.
 */
proctype Others()
{
	byte n, old;
	bool error;

	do
	:: n < OTHERS ->
		tickets++;
		if
		:: hurry(old, error)
		:: true
		fi;
		atomic { error = false; writers_left--; n++ }
	:: else -> break
	od
}

/* A suspend and resume, at any time. */
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
 * At rest nothing can move: all blocks were freed, nobody comes or goes any more,
 * the machine is awake, no work is queued, and all who wrote to report_now have
 * returned. Then everything is reported, whatever the device has refused on the
 * way, unless there is no device or reporting was stopped for good.
 */
active proctype Quiet()
{
end:	timeout ->
	assert(!freers_left && !writers_left && changes_done && !frozen);
	assert(!mutex && !readers && !kicked && !queued && !running);
	assert(published == (wanted && registered));
	assert(!published || (!unreported[0] && !unreported[1] && state == IDLE))
}

init
{
	atomic {
		unreported[0] = FREE;
		run Freer(0);
		if
		:: ZONES > 1 -> run Freer(1)
		:: else
		fi;
		run Worker(false);
		run Worker(true);
		run Changes();
		if
		:: SUSPENDS > 0 -> run Suspend()
		:: else
		fi;
		if
		:: WRITERS > 0 -> run Writer()
		:: else
		fi;
		if
		:: OTHERS > 0 -> run Others()
		:: else
		fi
	}
}
