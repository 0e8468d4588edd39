#!/usr/bin/env bash
# TensorFlow Probability 0.25.0, tfp.vi.monte_carlo_variational_loss with
# GradientEstimators.DOUBLY_REPARAMETERIZED and importance_sample_size above 1.
#
# A natural guess: the estimator changes how noisy the gradient is, so a VAE's decoder and encoder
# can be trained on this one loss, as with the other estimators.
# Behaviour: the gradient of whatever parameters the target log density holds (the decoder's) is
# weighted by the squares of the normalised importance weights. It is not that of the bound. With
# 16 samples of nearly equal weight it is 16 times too small. Tucker et al. (2019) square the
# weights for the encoder alone. The documentation does not say that the target must not be trained.
# Hurt: whoever trains a VAE on this loss. The decoder learns far too slowly, or the wrong
# thing, and the value of the loss looks right.
# Seen: "decoder's gradient, plain -1.0000, doubly reparameterised -0.0625" on TensorFlow 2.21.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tensorflow==2.21.0 tf-keras==2.21.0 \
  tensorflow-probability==0.25.0
cat > "$folder/program.py" << 'PYTHON'
import tensorflow as tf
import tensorflow_probability as tfp

tfd, estimators = tfp.distributions, tfp.vi.GradientEstimators
SAMPLES = 16


def decoder_gradient(estimator):
    """d loss / d bias of a target whose density moves by `bias`, the same at every sample."""
    bias = tf.Variable(0.0)
    q = tfd.Normal(0.0, 1.0)
    with tf.GradientTape() as tape:
        loss = tfp.vi.monte_carlo_variational_loss(
            lambda z: tfd.Normal(0.0, 1.01).log_prob(z) + bias,
            q,
            sample_size=200,
            importance_sample_size=SAMPLES,
            gradient_estimator=estimator,
            stopped_surrogate_posterior=q,
            seed=(1, 2),
        )
    return float(tape.gradient(loss, bias))


plain = decoder_gradient(estimators.REPARAMETERIZATION)
doubly = decoder_gradient(estimators.DOUBLY_REPARAMETERIZED)
print(f"decoder's gradient, plain {plain:.4f}, doubly reparameterised {doubly:.4f}")
# log p rises by exactly the bias, whatever the samples: the derivative of the bound is 1.
assert abs(plain + 1) < 1e-3, plain
assert abs(doubly + 1 / SAMPLES) < 0.01, doubly
PYTHON
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" "$folder/program.py" 2> /dev/null
