// SPDX-License-Identifier: GPL-2.0
/// The device's report() sleeps, as may other functions: none of them is called
/// with zone->lock held, directly or by a function of the same file.
//
// Confidence: High
// Options: --no-includes --include-headers

virtual report

// What sleeps itself
@direct exists@
identifier f;
expression E;
@@
f(...)
{
<+...
(
E->report(...)
|
cond_resched()
|
might_sleep()
|
mutex_lock(...)
|
synchronize_rcu()
|
cancel_delayed_work_sync(...)
|
flush_delayed_work(...)
|
flush_work(...)
|
kmalloc_array(..., GFP_KERNEL)
|
kmalloc(..., GFP_KERNEL)
|
kzalloc(..., GFP_KERNEL)
|
wait_event(...)
|
wait_for_completion(...)
|
msleep(...)
|
schedule()
)
...+>
}

// What calls such a function
@indirect exists@
identifier direct.f, g;
@@
g(...)
{
<+...
f(...)
...+>
}

// The lock is taken, or was before, is not given back, and something sleeps.
@locked exists@
expression zone, E;
identifier direct.f;
position p;
@@
(
spin_lock(&zone->lock);
|
spin_lock_irq(&zone->lock);
|
spin_lock_irqsave(&zone->lock, ...);
|
lockdep_assert_held(&zone->lock);
)
... when != spin_unlock(&zone->lock)
    when != spin_unlock_irq(&zone->lock)
    when != spin_unlock_irqrestore(&zone->lock, ...)
(
E->report@p(...)
|
f@p(...)
|
cond_resched@p()
|
might_sleep@p()
|
mutex_lock@p(...)
|
synchronize_rcu@p()
|
kmalloc_array@p(..., GFP_KERNEL)
|
kmalloc@p(..., GFP_KERNEL)
|
kzalloc@p(..., GFP_KERNEL)
|
wait_event@p(...)
|
wait_for_completion@p(...)
|
msleep@p(...)
|
schedule@p()
)

@script:python depends on report@
p << locked.p;
@@
coccilib.report.print_report(p[0], "may sleep with zone->lock held")

// The same with what sleeps only by what it calls
@deep exists@
expression zone;
identifier indirect.g;
position p;
@@
(
spin_lock(&zone->lock);
|
spin_lock_irq(&zone->lock);
|
spin_lock_irqsave(&zone->lock, ...);
|
lockdep_assert_held(&zone->lock);
)
... when != spin_unlock(&zone->lock)
    when != spin_unlock_irq(&zone->lock)
    when != spin_unlock_irqrestore(&zone->lock, ...)
g@p(...)

@script:python depends on report@
p << deep.p;
@@
coccilib.report.print_report(p[0], "may sleep with zone->lock held")
