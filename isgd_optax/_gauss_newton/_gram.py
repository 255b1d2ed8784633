import jax, jax.numpy as jnp
from jax.flatten_util import ravel_pytree
def block_rows(fn, params, points, basis, scale, dtype, size):
    def at(x, b):
        r, pull = jax.vjp(lambda p: jnp.ravel(jnp.asarray(fn(p, x))), params)
        e = jnp.eye(r.size, dtype=r.dtype) if b is None else b.astype(r.dtype)
        return jax.vmap(lambda v: ravel_pytree(pull(v)[0])[0])(e)
    J = jax.vmap(at, in_axes=(0, None if basis is None else 0))(points, basis).astype(dtype)
    s = scale.reshape(-1, 1, 1) if scale.ndim else scale
    J = s * J
    return J.reshape(-1, J.shape[-1])
def normal(*a):
    J = block_rows(*a); return J.T @ J
def squared_columns(*a):
    return jnp.sum(block_rows(*a)**2, 0)
def symmetric_product(J): return J @ J.T
