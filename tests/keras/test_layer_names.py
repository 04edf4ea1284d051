"""Layer paths do not depend on how a model is built."""

import keras
from keras import layers

from multiboard_keras.layers import Names


class Block(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.inner = layers.Dense(2, name="fc")

    def call(self, x):
        return self.inner(x)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.gain = self.add_weight(shape=(2,), name="gain")
        self.embed = layers.Embedding(3, 4, name="embed")
        self.block = Block(name="block")
        self.twins = [layers.Dense(2, name="twin"), layers.Dense(2, name="twin")]

    def call(self, x):
        x = self.block(self.embed(x))
        for twin in self.twins:
            x = twin(x)
        return x * self.gain


def paths(model):
    names = Names(model)
    return [names.of(variable).path for variable in model.trainable_variables]


def test_the_name_of_the_model_itself_is_left_out():
    built, unbuilt = [keras.Input((4,)), layers.Dense(3, name="fc")], [layers.Dense(3, name="fc")]
    functional = keras.Model(inputs := keras.Input((4,)), layers.Dense(3, name="fc")(inputs))
    lazy = keras.Sequential(unbuilt)
    lazy.build((None, 4))
    assert paths(keras.Sequential(built)) == paths(lazy) == paths(functional) == ["fc/kernel", "fc/bias"]


def test_a_nested_model_keeps_its_name():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="fc")], name="encoder")
    model = keras.Model(inputs := keras.Input((4,)), layers.Dense(2, name="fc")(inner(inputs)))
    assert paths(model) == ["encoder/fc/kernel", "encoder/fc/bias", "fc/kernel", "fc/bias"]


def test_a_subclassed_model_has_its_own_weights_inner_layers_and_suffixes_for_twins():
    model = Subclassed()
    model(keras.ops.zeros((2, 3), dtype="int32"))
    assert paths(model) == [
        "gain",
        "embed/embedding",
        "block/fc/kernel",
        "block/fc/bias",
        "twin/kernel",
        "twin/bias",
        "twin_1/kernel",
        "twin_1/bias",
    ]


def test_a_shared_layer_is_named_once_and_a_frozen_one_not_at_all():
    shared, frozen = layers.Dense(4, name="shared"), layers.Dense(4, name="frozen", trainable=False)
    model = keras.Model(inputs := keras.Input((4,)), shared(frozen(shared(inputs))))
    assert paths(model) == ["shared/kernel", "shared/bias"]


def test_native_path_and_class_are_kept():
    model = keras.Model(inputs := keras.Input((5, 4)), layers.LayerNormalization(name="norm")(inputs))
    named = Names(model).of(model.trainable_variables[0])
    assert (named.path, named.native, named.layer_class) == ("norm/scale", "norm/gamma", "LayerNormalization")
