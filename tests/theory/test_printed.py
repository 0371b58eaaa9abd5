"""The comparison with printed numbers is itself exact to the last digit."""

from tests.theory.printed import Printed


def test_a_number_equals_its_printed_form_in_every_digit():
    assert Printed("4.420360e-15") == 4.4203599e-15
    assert Printed(".1000") == 0.0999996


def test_a_difference_in_the_last_digit_is_one():
    assert Printed("4.420360e-15") != 4.420361e-15
    assert Printed("4.420360e-15") != 4.4203594e-15
    assert Printed("51.5") != 51.56
