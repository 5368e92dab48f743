# The types that Cython gives to what source.py declares: attributes in C, and nothing else.

cimport cython

cdef class Part:
    cdef public object name
    cdef public long steps, events
    cdef public list times
    cdef public object kept
    

cdef class Owner:
    cdef public object label, user
    cdef public Part part
    cdef public bint root
    cdef public dict counts
    cdef public long io_count

    cpdef str numbered(self, str name)
    cpdef Owner heir(self)

cdef class Actor:
    cdef public object name
    cdef public Owner owner
    cdef public object reference
    cdef public long steps
    cdef public long long number

@cython.freelist(64)
cdef class Handle:
    cdef object __weakref__
    cdef public object callback
    cdef public tuple args
    cdef public object context

cdef class Candidate(Handle):
    cdef public Actor actor
    cdef public Owner owner
    cdef public object kind
    cdef public double priority

cdef class Pending(Candidate):
    cdef public object future
    cdef public long number

cdef class Jump(Pending):
    pass

cdef class Post(Pending):
    cdef public object line

cdef class Timer(Pending):
    cdef public double time

cdef class Latency(Timer):
    pass

cdef class TaskStep(Candidate):
    pass

cdef class GoOn:
    cdef public object kind
    cdef public Owner owner
    cdef public double priority

cdef class Core:
    cdef public list _arrivals, _posts, _timers, _overdue, _cancels
    cdef public set _planned
    cdef public bint _asks_always, _every_choice, _patient, _running, _closed, _plain
    cdef public object _ready, _scheduler, _shortcut, _task_factory
    cdef public RandomWalk _walk
    cdef public list errors, fired, uncontrolled
    cdef public object log, trace
    cdef public dict met, _actors, _boundaries, _cancel_handles
    cdef public long long _number, _thread
    cdef public long hashed, idles, max_steps, steps
    cdef public Actor last
    cdef public Owner root
    cdef public GoOn _go_on
    cdef public double now

cdef class StockCore(Core):
    pass

cdef class PortableCore(Core):
    cdef public list _behind, _nameless, _steps
    cdef public bint _stepped
    cdef public long _turns, _turns_of_last, _waiting_steps

cdef object _step_type, _wakeup_type, _wakeup_name, _task_type
cdef object _new_context, _new_queue, _new_reference, _ident, _loop_now, _be_loop
cdef object _hooks_now, _set_hooks, _modules, _actorless
cdef object _owner_of, _set_owner, _copy_context
cdef dict _short_names
cdef class Made:
    cdef public list references
    cdef public long enough
    cdef public long long number
    cpdef add(self, core)

cdef Made _made
cdef object _complete, _is_done, _set_result, _io_of_core, _kinds, _new_future, _arrival, _step_taken, _new_task, _init_task
cdef unsigned long long _WORD, _MULTIPLIER, _INCREMENT, _GOLDEN, _FIRST_MIX, _SECOND_MIX
cdef double _UNIT

cdef class UnderControl:
    cdef public object seed, now, owner, advance, outer, expected
    cdef public long long thread
    cdef public dict issues, _draws

cdef class Here:
    cdef public object world
    cdef public Core core

cdef Here _here

cdef class Numbers:
    cdef public unsigned long long state

cdef class RandomWalk:
    cdef public Numbers _numbers
    cdef public double _haste, _join
    cdef public bint _latencies, patient

cdef double _unit(Numbers numbers)
cdef long _below(Numbers numbers, long end)
cdef double _priority(Numbers numbers)
@cython.locals(index=long, best=long, most=double, priority=double, candidate=Candidate)
cdef long _highest(Numbers numbers, options)
cdef long _walked(RandomWalk self, options)
cdef obey(Core core, scheduler)
cdef long _picked(Core core, list options) except? -1

cdef context_of(Owner owner)
cpdef str name_for(coroutine)
cdef stepping(callback)
cdef _called(Handle handle)
cdef Actor new_actor(Core core, str name, Owner owner)
cdef Actor enlist(Core core, str name, Owner owner)
cdef make(Core core, coro, Actor actor, name, context, dict options)
cdef list[Pending] live(list[Pending] arrivals)
cdef begin_io(Core core, future, name, double latency, fails)
cdef bint admit_one(Core core) except -1
cdef run_handle(Core core, Handle handle)
cdef complete_at_once(Core core, Pending arrival)
cdef choose_next(PortableCore core)
cdef happens(PortableCore core, option)
cdef happens_alone(PortableCore core, long place)
cdef begin_step(PortableCore core, TaskStep step)
